"""Prior: how often matrices put the right token first, rung by rung, with the frequency prior and without.

    python benchmarks/recall/prior.py INPUT... --parameters 30 43 60 90 --name prose --out docs/results

Builds memories of one text in this process and asks at a sample of its places where all windows are full: first with
the shortest window alone, then with two, and so on. Right is the token that came next. Beside the matrices, with prior
and without, stands what counting would answer, the token that follows the longest window asked most often, and what
the capacity law says of the matrices. Writes prior-NAME.csv.
"""

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.common.script import add_corpus, add_out, script_parser, write_rows
from memo_dist import Memory, TextConfig
from memo_dist.batches import read_batch
from memo_dist.models import cleanup_for
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Encoder
from memo_dist.models.repetition import Answered, TextSize
from memo_dist.planning.capacity import answered_lengths
from memo_dist.planning.repetition import measure_repetition
from memo_dist.segments import Segment
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

CELLS = 256**2


@dataclass
class Asked:
    """Places of a text: (n, L) window hashes, (n,) the tokens that came next, (n, L) what follows each window."""

    values: np.ndarray
    truth: np.ndarray
    following: list[list[Counter[int]]]

    def exactly(self, rungs: int) -> float:
        """The share that the commonest token after the window is right."""
        best = [commonest(f[rungs - 1]) for f in self.following]
        return float((np.array(best) == self.truth).mean())

    def held(self, rungs: int, tokens: np.ndarray) -> float:
        """The share of tokens that follow the window at all."""
        return float(np.mean([t in f[rungs - 1] for t, f in zip(tokens.tolist(), self.following, strict=True)]))


def commonest(following: Counter[int]) -> int:
    """Of equals the lowest id."""
    return min(following, key=lambda token: (-following[token], token))


def asked_places(segments: list[Segment], encoder: Encoder, sample: int) -> Asked:
    rng, tokens = np.random.default_rng(0), sum(len(segment.tokens) for segment in segments)
    values, truth = [], []
    for cues, targets in encoder.targets(segments):
        chosen = cues.filled.all(axis=1) & (rng.random(len(cues)) * tokens < sample)
        values.append(cues.values[chosen])
        truth.append(targets[chosen])
    keys = np.concatenate(values)
    wanted, found = np.unique(keys), defaultdict[int, Counter[int]](Counter)
    for cues, targets in encoder.targets(segments):
        for rung in range(keys.shape[1]):
            here = cues.values[:, rung]
            hit = wanted[np.minimum(np.searchsorted(wanted, here), len(wanted) - 1)] == here
            for key, token in zip(here[hit].tolist(), targets[hit].tolist(), strict=True):
                found[key][token] += 1
    return Asked(keys, np.concatenate(truth), [[found[key] for key in row] for row in keys.tolist()])


def measured(memory: Memory, asked: Asked, law: list[Answered]) -> list[dict[str, Any]]:
    """One row for each number of rungs."""
    count, rungs = asked.values.shape
    reads = memory.read(asked.values.ravel()).reshape(count, rungs, -1)
    plain = cleanup_for(memory.config, memory.encoder)
    cleanups = {"without": plain, "with": plain.with_prior(memory.token_counts())}
    rows = []
    for rung, told in enumerate(law):
        row: dict[str, Any] = {"window": told.window, "exact": round(asked.exactly(rung + 1), 4)}
        for name, cleanup in cleanups.items():
            best = first_tokens(cleanup, reads, rung + 1)
            row[f"right_{name}_prior"] = round(float((best == asked.truth).mean()), 4)
            row[f"held_{name}_prior"] = round(asked.held(rung + 1, best), 4)
        rows.append({**row, "law_exact": round(told.exact, 4), "law": round(told.matrices, 4)})
    return rows


def first_tokens(cleanup: Cleanup, reads: np.ndarray, rungs: int) -> np.ndarray:
    filled = np.tile(np.arange(reads.shape[1]) < rungs, (len(reads), 1))
    return np.asarray(cleanup.rank(reads * filled[:, :, None], filled).tokens[:, 0])


def main() -> None:
    parser = script_parser(__doc__)
    add_corpus(parser)
    parser.add_argument("--parameters", type=float, nargs="+", default=[30, 43, 60, 90], help="cells a token")
    parser.add_argument("--sample", type=int, default=6000)
    parser.add_argument("--limit", type=int, help="documents")
    parser.add_argument("--name", default="text", help="of the text, in the names of the result files")
    add_out(parser)
    options = parser.parse_args()
    plan = plan_corpus(
        options.inputs, CorpusOptions(include=options.include, errors=options.errors, limit=options.limit)
    )
    choice = choose_tokenizer(plan)
    batches = list(stream_batches(plan, choice.tokenizer, TextConfig(num_banks=1, vocab_size=2).context_length))
    rows: list[dict[str, Any]] = []
    for parameters in options.parameters:
        rows += of_one_size(parameters, choice, batches, options=options)
        write_rows(options.out / f"prior-{options.name}.csv", rows)


def of_one_size(
    parameters: float, choice: TokenizerChoice, batches: list[pa.Table], *, options: argparse.Namespace
) -> list[dict[str, Any]]:
    shape = TextConfig(num_banks=1, vocab_size=choice.vocab_size)
    segments = [segment for batch in batches for _, segment in read_batch(batch, shape)]
    tokens = sum(len(segment.tokens) for segment in segments)
    config = TextConfig(num_banks=max(1, round(parameters * tokens / CELLS)), vocab_size=choice.vocab_size)
    memory = Memory(config, choice.tokenizer)
    for batch in batches:
        memory.memorize_batch(batch)
    asked = asked_places(segments, memory.encoder, options.sample)
    repetition = measure_repetition(list(choice.sample), memory.encoder)
    law = answered_lengths(config, TextSize(tokens, choice.documents, repetition), memory.num_associations)
    size = {"parameters_per_token": parameters, "associations_per_token": round(memory.num_associations / tokens, 3)}
    rows = [{**size, **row} for row in measured(memory, asked, law)]
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


if __name__ == "__main__":
    main()
