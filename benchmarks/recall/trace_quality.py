"""Contamination check: `trace` against a search for equal runs of tokens.

    python benchmarks/recall/trace_quality.py M.memo INPUT... --include '**/*.py' --unseen OTHER/

Texts are mixed of passages of the memorized files (4 to 80 tokens) and of others (20 to 200). Truth: a token lies in
16 consecutive tokens that stand in the corpus, found by hashing all of its runs of 16. Prints precision, recall, and
the lengths of the held runs that were missed, as one JSON object.
"""

import json
import time
from collections.abc import Iterable

import numpy as np

from benchmarks.common.script import add_memory_and_corpus, script_parser
from memo_dist.batches import read_batch
from memo_dist.files.opened import open_memory
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.trace import Traced, trace
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

LEAST = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)


def runs_of(tokens: np.ndarray) -> np.ndarray:
    """A 64-bit hash of every run of LEAST tokens."""
    count = max(0, len(tokens) - LEAST + 1)
    hashes = np.zeros(count, np.uint64)
    for j in range(LEAST):
        hashes = hashes * _MIX + tokens[j : count + j].astype(np.uint64) + np.uint64(1)
        hashes ^= hashes >> np.uint64(29)
    return hashes


def covered(tokens: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Tokens in runs of which `known`, sorted, has the hash."""
    truth, runs = np.zeros(len(tokens), bool), runs_of(tokens)
    places = np.minimum(np.searchsorted(known, runs), len(known) - 1)
    for start in np.flatnonzero(known[places] == runs):
        truth[start : start + LEAST] = True
    return truth


def mixed(ours: list[np.ndarray], theirs: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Six passages of each kind, in turn."""
    parts = []
    for _ in range(6):
        for documents, low, high in ((theirs, 20, 200), (ours, 4, 80)):
            document = documents[int(rng.integers(len(documents)))]
            start = int(rng.integers(max(1, len(document) - high)))
            parts.append(document[start : start + int(rng.integers(low, high))])
    return np.concatenate(parts)


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
        corpora = []
        for names in (asked.inputs, asked.unseen):
            batches = stream_batches(plan_corpus(names, options), memory.tokenizer, memory.config.context_length)
            corpora.append([segment for batch in batches for _, segment in read_batch(batch, memory.config)])
        ours, theirs = ([one.tokens for one in corpus if len(one.tokens) > LEAST] for corpus in corpora)
        whole = (np.concatenate([one.context[1 - LEAST :], one.tokens]) for one in corpora[0])
        known = np.unique(np.concatenate([runs_of(tokens) for tokens in whole]))
        lookup = Lookup(memory)
        texts = [mixed(ours, theirs, rng) for _ in range(asked.texts)]
        began = time.perf_counter()
        found: list[Traced] = [trace(lookup, tokens, least=LEAST) for tokens in texts]
        seconds = time.perf_counter() - began
    truths = [covered(tokens, known) for tokens in texts]
    held, truth = np.concatenate([f.held for f in found]), np.concatenate(truths)
    missed = [n for one, f in zip(truths, found, strict=True) for n in lengths_missed(one, f.held)]
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
