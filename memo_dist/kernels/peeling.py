"""Peeling: tables whose rows, added up four at a time, give every key its value; and reading them.

Covers: NumPy arrays. Does not cover: the shape of a table (solved/shape.py), what values are (solved/values.py), the
plain forms that these must equal (tests/reference.py).

Key h of a table of `count` + 3 segments of `length` rows, a power of two, with u = the h that follows its piece's bits
as a fraction of 2^64 and y = mix(h + (seed + 1) GOLDEN), has the rows
    r_0 = floor(u count length / 2^64)         r_j = length (floor(r_0 / length) + j) + (y >> 20 (j - 1)) mod length
and its value is T[r_0] ^ T[r_1] ^ T[r_2] ^ T[r_3] (binary fuse: Graf and Lemire 2022). Peeling takes a row that one key
alone still has, puts that key on a pile, takes it out of its other rows, and goes on; the pile, from its top, is the
order in which rows are solved. Sorted keys lie along the segments, so what is touched at a time is a few of these.
"""

from typing import Any

import numpy as np

from memo_dist.kernels import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def peel(hashes: np.ndarray, shift: int, seed: int, count: int, length: int, pile: np.ndarray, rows: np.ndarray) -> int:
    """How many keys were peeled; all of them, where the table can be solved.

    Args:
        hashes: (n,) uint64, distinct. shift: bits that all of a piece have in common.
        pile: (n,) int64 and rows: (n,) int64, filled: keys in the order in which they were peeled, and the row that
            each had alone.
    """
    total = (count + 3) * length
    degree = np.zeros(total, np.int32)
    keys = np.zeros(total, np.int64)  # of each row, the places of its keys, XORed
    for key in range(len(hashes)):
        for j in range(4):
            row = row_of(hashes[key], shift, seed, count, length, j)
            degree[row] += 1
            keys[row] ^= key
    waiting = np.empty(total, np.int64)
    left = 0
    for row in range(total):
        if degree[row] == 1:
            waiting[left] = row
            left += 1
    peeled = 0
    while left > 0:
        left -= 1
        alone = waiting[left]
        if degree[alone] != 1:
            continue
        key = keys[alone]
        pile[peeled], rows[peeled] = key, alone
        peeled += 1
        for j in range(4):
            row = row_of(hashes[key], shift, seed, count, length, j)
            degree[row] -= 1
            keys[row] ^= key
            if degree[row] == 1:
                waiting[left] = row
                left += 1
    return peeled


@compiled
def solve(
    hashes: np.ndarray,
    values: np.ndarray,
    shift: int,
    seed: int,
    count: int,
    length: int,
    pile: np.ndarray,
    rows: np.ndarray,
    table: np.ndarray,
) -> None:
    """Fill `table`, ((count + 3) length,) uint64 zeros, so that every key reads its value, (n,) uint64.

    Args:
        pile, rows: as `peel` filled them.
    """
    for place in range(len(pile) - 1, -1, -1):
        key, alone = pile[place], rows[place]
        value = values[key]
        for j in range(4):
            value ^= table[row_of(hashes[key], shift, seed, count, length, j)]
        table[alone] = value  # it was 0 before


@compiled
def row_of(h: np.uint64, shift: int, seed: int, count: int, length: int, j: int) -> Any:
    """The j-th row of a key, j from 0 to 3."""
    first = np.int64(_high_product(h << np.uint64(shift), np.uint64(count * length)))
    if j == 0:
        return first
    y = _mixed(h + np.uint64(seed + 1) * _GOLDEN)
    offset = np.int64((y >> np.uint64(20 * (j - 1))) & np.uint64(length - 1))
    return (first // length + j) * length + offset


@compiled
def _high_product(a: np.uint64, b: np.uint64) -> Any:
    """floor(a b / 2^64) for b < 2^32."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    return ((a >> half) * b + (((a & low) * b) >> half)) >> half


@compiled
def _mixed(x: np.uint64) -> Any:
    """codes.mix64 of one word."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
