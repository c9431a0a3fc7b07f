"""Rows of arrays by what they have in common.

Covers: grouping. Does not cover: what the groups are.
"""

from collections.abc import Iterator

import numpy as np


def rows_of(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each number of (m,) int64 of 0 and above, rising, with the rows that have it, in order."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order], prepend=-1, append=-1))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield int(numbers[order[start]]), order[start:stop]
