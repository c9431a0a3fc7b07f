"""How many bytes of a solved memory does one recall touch, in words, in blocks of several sizes and in whole tables?

    python benchmarks/recall/block_sizes.py small.memo prompts.jsonl

A memory in an object store is read in blocks (docs/decisions/0029-object-stores.md). The memory here is walked by the
array form of the walk, and every word that it reads is noted.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.files.opened import open_memory
from memo_dist.files.solved_reader import SolvedShards
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import read_prompts
from memo_dist.recalling.session import Session
from memo_dist.solved.device_tables import DeviceTables
from memo_dist.solved.walk import Tables

SIZES = (1 << 12, 1 << 14, 1 << 16, 1 << 18)


class Noted:
    """The words of a memory, and which were read."""

    def __init__(self, words: np.ndarray) -> None:
        self._words, self.read = words, list[np.ndarray]()

    def __getitem__(self, at: np.ndarray) -> np.ndarray:
        self.read.append(np.unique(at))
        return np.asarray(self._words[at])


def touched(path: Path, prompts: Path, count: int) -> dict[str, list[int]]:
    """Bytes that each of `count` prompts touches, by what is read at a time."""
    found: dict[str, list[int]] = {name: [] for name in ("words", *map(str, SIZES), "tables")}
    with open_memory(path) as memory:
        shards: Any = memory._shards
        if not isinstance(shards, SolvedShards) or not isinstance(shards.tables, Tables):
            raise SystemExit(f"{path} is no solved memory on this machine")
        tables = shards.tables
        walked = DeviceTables(tables.pieces, tables.files, np)
        walked._words = noted = Noted(walked._words)
        shards._walked = walked
        starts = np.sort(tables.pieces.places[:, 0])
        sizes = np.diff(np.append(starts, len(tables.files[0]))) * 8
        session = Session(memory, memory.tokenizer)
        for row in list(read_prompts(prompts))[:count]:
            noted.read.clear()
            session.recall([row.asked], RecallOptions(max_tokens=50))
            words = np.unique(np.concatenate([np.zeros(0, np.int64), *noted.read]))
            found["words"].append(8 * len(words))
            for size in SIZES:
                found[str(size)].append(size * len(np.unique(8 * words // size)))
            found["tables"].append(int(sizes[np.unique(np.searchsorted(starts, words, side="right") - 1)].sum()))
    return found


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memory", type=Path, help="a solved memory of one file")
    parser.add_argument("prompts", type=Path, help="as for recall --prompts")
    parser.add_argument("--count", type=int, default=60)
    arguments = parser.parse_args()
    for name, values in touched(arguments.memory, arguments.prompts, arguments.count).items():
        most = int(np.percentile(values, 90))
        print(f"{name:>8}  median {int(np.median(values)):>12,}  of nine in ten at most {most:,}")


if __name__ == "__main__":
    main()
