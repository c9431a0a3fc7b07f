"""Vocabulary: what a query costs at V = 8k, 32k and 128k, whole and part by part.

    python benchmarks/recall/vocabulary.py --out docs/results

For each V a memory of random tokens at a usual load is published at one bit; half of the contexts that are asked were
memorized. Batches of 1 to 1,024, on one thread; the sizes are measured in turn, round after round. What is measured is
processor time, of which other work on the machine takes none, and medians are kept. Writes vocabulary.csv.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.common.script import add_out, script_parser, write_rows
from memo_dist import Memory, TextConfig
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.files.published_writer import publish
from memo_dist.models import cleanup_for
from memo_dist.models.candidates import Cleanup
from memo_dist.models.text.config import DEFAULT_WINDOWS

VOCABULARIES = (8_000, 32_000, 128_000)
BATCHES = (1, 8, 16, 64, 1_024)
BANKS, LOAD = 160, 1_700  # of one bank; as of 90 parameters a token
PARTS = ("encode", "read", "rank")


def published(folder: Path, vocabulary: int) -> tuple[OpenMemory, np.ndarray]:
    """A memory of random tokens, and the tokens."""
    memory = Memory(TextConfig(num_banks=BANKS, vocab_size=vocabulary))
    tokens = np.random.default_rng(vocabulary).integers(0, vocabulary, BANKS * LOAD // len(DEFAULT_WINDOWS))
    memory.memorize("a", tokens)
    memory.save(folder / f"{vocabulary}.memo")
    publish(folder / f"{vocabulary}.memo", folder / f"{vocabulary}-1.memo", 1)
    return open_memory(folder / f"{vocabulary}-1.memo"), tokens


def ask(memory: OpenMemory, cleanup: Cleanup, contexts: list[np.ndarray]) -> list[float]:
    """Processor seconds of each part of a query."""
    began = time.process_time()
    cues = cleanup.encoder.query(contexts)
    encoded = time.process_time()
    reads = cleanup.encoder.retrieve(memory, cues)
    read = time.process_time()
    cleanup.rank(reads, cues.filled)
    return [encoded - began, read - encoded, time.process_time() - read]


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    add_out(parser)
    options = parser.parse_args()
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        memories = {v: published(Path(folder), v) for v in VOCABULARIES}
        cleanups = {
            v: cleanup_for(memory.config, memory.encoder, prior=memory.token_counts())
            for v, (memory, _) in memories.items()
        }
        for batch in BATCHES:
            taken: dict[int, list[list[float]]] = {v: [] for v in VOCABULARIES}
            for round_ in range(options.rounds + 1):
                for v, (memory, tokens) in memories.items():
                    places = rng.integers(64, len(tokens), batch)
                    contexts = [tokens[p - 64 : p] if i % 2 else rng.integers(0, v, 64) for i, p in enumerate(places)]
                    seconds = ask(memory, cleanups[v], contexts)
                    if round_:  # the first compiles and opens
                        taken[v].append(seconds)
            for v, all_seconds in taken.items():
                row: dict[str, Any] = {"vocabulary": v, "batch": batch}
                for part, values in zip(PARTS, zip(*all_seconds, strict=True), strict=True):
                    row[f"{part}_us"] = round(1e6 * statistics.median(values) / batch, 1)
                row["query_us"] = round(1e6 * statistics.median(map(sum, all_seconds)) / batch, 1)
                first = statistics.median(map(sum, taken[VOCABULARIES[0]]))
                row["times_8k"] = round(1e-6 * row["query_us"] * batch / first, 2)
                rows.append(row)
                print(json.dumps(row), flush=True)
    write_rows(options.out / "vocabulary.csv", rows)


if __name__ == "__main__":
    main()
