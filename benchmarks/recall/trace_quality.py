"""Contamination check: `trace` against a search for equal runs of units.

    python benchmarks/recall/trace_quality.py M.memo INPUT... --include '**/*.py' --unseen OTHER/

Texts are mixed of passages of the memorized files (4 to 80 tokens) and of others (20 to 200). Truth: a token lies in
16 consecutive units that stand in the corpus, found by hashing all of its runs of 16; units are words and other
characters, whatever their case and white space. Prints precision and recall, of tokens, and the lengths in tokens of
the held runs that were missed, as one JSON object.
"""

import json
import time
from collections.abc import Iterable

import numpy as np

from benchmarks.common.corpus_index import documents_of
from benchmarks.common.script import add_memory_and_corpus, script_parser
from benchmarks.common.unit_index import placed_units
from memo_dist.files.opened import open_memory
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.trace import TracedText, trace_text
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

LEAST = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Runs:
    """All runs of LEAST units of a corpus, by hash.

    Args:
        texts: the corpus.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        self._known = np.unique(np.concatenate([self._hashes(text) for text in texts]))

    def _hashes(self, text: str) -> np.ndarray:
        """A 64-bit hash of every run."""
        numbers = [self._numbers.setdefault(unit, len(self._numbers)) for unit, _, _ in placed_units(text)]
        line, count = np.array(numbers, np.uint64), max(0, len(numbers) - LEAST + 1)
        hashes = np.zeros(count, np.uint64)
        for j in range(LEAST):
            hashes = hashes * _MIX + line[j : count + j] + np.uint64(1)
            hashes ^= hashes >> np.uint64(29)
        return hashes

    def covered(self, text: str, places: list[tuple[int, int]]) -> np.ndarray:
        """Tokens, given where each begins and ends in the text, that touch a run which the corpus has."""
        held, spans, runs = np.zeros(len(text) + 1, bool), placed_units(text), self._hashes(text)
        for first in np.flatnonzero(np.isin(runs, self._known)):
            held[spans[first][1] : spans[first + LEAST - 1][2]] = True
        return np.array([held[start:stop].any() for start, stop in places], bool)


def mixed(ours: list[list[int]], theirs: list[list[int]], rng: np.random.Generator) -> list[int]:
    """Six passages of each kind, in turn."""
    parts: list[int] = []
    for _ in range(6):
        for documents, low, high in ((theirs, 20, 200), (ours, 4, 80)):
            document = documents[int(rng.integers(len(documents)))]
            start = int(rng.integers(max(1, len(document) - high)))
            parts += document[start : start + int(rng.integers(low, high))]
    return parts


def lengths_missed(truth: np.ndarray, held: np.ndarray) -> Iterable[int]:
    """Lengths of true runs of which not one token was found."""
    runs = np.flatnonzero(np.diff(np.concatenate([[False], truth, [False]]).astype(np.int8))).reshape(-1, 2)
    return [int(stop - start) for start, stop in runs.tolist() if not held[start:stop].any()]


def main() -> None:
    parser = script_parser(__doc__)
    add_memory_and_corpus(parser, errors=None)
    parser.add_argument("--unseen", nargs="+", required=True)
    parser.add_argument("--texts", type=int, default=60)
    asked = parser.parse_args()
    options, rng = CorpusOptions(include=asked.include, errors="skip"), np.random.default_rng(0)
    with open_memory(asked.memory) as memory:
        tokenizer, config = memory.tokenizer, memory.config
        if tokenizer is None:
            parser.error(f"{asked.memory} is a memory of bare token ids; give a memory of text")
        corpora = []
        for names in (asked.inputs, asked.unseen):
            batches = stream_batches(plan_corpus(names, options), tokenizer, config.context_length)
            corpora.append(list(documents_of(batches, config)))
        ours, theirs = ([one for one in corpus if len(one) > LEAST] for corpus in corpora)
        runs, lookup = Runs(tokenizer.decode(one) for one in corpora[0]), Lookup(memory)
        texts = [tokenizer.decode(mixed(ours, theirs, rng)) for _ in range(asked.texts)]
        began = time.perf_counter()
        found: list[TracedText] = [trace_text(lookup, tokenizer, text, least=LEAST) for text in texts]
        seconds = time.perf_counter() - began
    truths = [runs.covered(one.text, one.places) for one in found]
    held, truth = np.concatenate([one.found.held for one in found]), np.concatenate(truths)
    missed = [n for one, f in zip(truths, found, strict=True) for n in lengths_missed(one, f.found.held)]
    print(
        json.dumps(
            {
                "tokens": len(truth),
                "held": round(float(truth.mean()), 4),
                "precision": round(float(truth[held].mean()), 5),
                "recall": round(float(held[truth].mean()), 5),
                "runs_missed_by_length": sorted(missed),
                "tokens_per_s": round(len(truth) / seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
