"""Followers: which rows of a sorted ledger belong to given windows.

Covers: NumPy arrays. Does not cover: what they mean (models/text/followers.py, whose plain form this must equal).
"""

from typing import Any

import numpy as np

from memo_dist.kernels import compiled

_LOW = np.uint64(0xFFFFFFFF)


@compiled
def count_rows(names: np.ndarray, tokens: np.ndarray, hashes: np.ndarray, salt: np.uint64, counts: np.ndarray) -> None:
    """counts[i] = rows of the window hashes[i]; see `find_rows`."""
    for i in range(len(hashes)):
        row, found = _first(names, hashes[i]), 0
        while row < len(names) and names[row] >> np.uint64(32) == hashes[i] >> np.uint64(32):
            found += names[row] ^ _fold(tokens[row], salt) == hashes[i]
            row += 1
        counts[i] = found


@compiled
def find_rows(names: np.ndarray, tokens: np.ndarray, hashes: np.ndarray, salt: np.uint64, rows: np.ndarray) -> None:
    """The rows of each window hash, one after the other; as many as `count_rows` says.

    Args:
        names: (n,) uint64, rising; the upper halves are those of the window hashes. tokens: (n,) uint32.
        hashes: (m,) uint64. salt: associations.TOKEN_SALT.
    """
    found = 0
    for i in range(len(hashes)):
        row = _first(names, hashes[i])
        while row < len(names) and names[row] >> np.uint64(32) == hashes[i] >> np.uint64(32):
            if names[row] ^ _fold(tokens[row], salt) == hashes[i]:
                rows[found] = row
                found += 1
            row += 1


@compiled
def _first(names: np.ndarray, wanted: np.uint64) -> Any:
    """The first row whose name has the upper half of a window hash, or a larger one."""
    edge = wanted & ~_LOW
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if names[middle] < edge:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _fold(token: np.uint32, salt: np.uint64) -> Any:
    x = np.uint64(token) + salt
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) >> np.uint64(32)
