"""Token counts: how many distinct associations have each token as the next one, over all files of a memory.

Covers: adding them up. Does not cover: the dataset of one file (shard_writer.py, shard_reader.py).
"""

from collections.abc import Iterable

import numpy as np


def total_counts(files: Iterable[np.ndarray | None]) -> np.ndarray | None:
    """The sum of every file's (V + 1,) uint64, modulo 2^64; None if one has none, or there is none."""
    total: np.ndarray | None = None
    for counts in files:
        if counts is None:
            return None
        total = counts if total is None else total + counts
    return total
