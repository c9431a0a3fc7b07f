"""Tables of signed sums: scores of all codes for a batch of integer vectors, and those within reach of the best.

Covers: NumPy arrays; a term of each code's class is added. Does not cover: rounding to integers, and why what is chosen
is enough (models/text/search.py).
"""

import numpy as np

from memo_dist.kernels import compiled

BLOCK = 64  # codes of which the maximum is kept
_TILE = 512  # codes scored by four tables before the next four: these and the scores stay in a core's cache
_ROOM = 256  # columns that may be within reach before a row is given up


@compiled
def tabulate(levels: np.ndarray, tables: np.ndarray) -> None:
    # tables[g, pattern, q]: bit 1 of the pattern turns a level around
    groups, _, count = tables.shape
    for g in range(groups):
        for q in range(count):
            total = np.int16(0)
            for member in range(8):
                total += levels[q, 8 * g + member]
            tables[g, 0, q] = total
        for member in range(8):
            half = 1 << member
            for pattern in range(half):
                for q in range(count):
                    tables[g, half + pattern, q] = tables[g, pattern, q] - 2 * levels[q, 8 * g + member]


@compiled
def scan(
    octets: np.ndarray,
    classes: np.ndarray,
    tables: np.ndarray,
    kinds: np.ndarray,
    scores: np.ndarray,
    maxima: np.ndarray,
) -> None:
    size, groups = octets.shape
    count = tables.shape[2]
    for first in range(0, size, _TILE):
        last = min(size, first + _TILE)
        for g in range(0, groups, 4):
            for v in range(first, last):
                one, two = tables[g, octets[v, g]], tables[g + 1, octets[v, g + 1]]
                three, four = tables[g + 2, octets[v, g + 2]], tables[g + 3, octets[v, g + 3]]
                if g == 0:
                    term = kinds[classes[v]]
                    for q in range(count):
                        scores[v, q] = term[q] + one[q] + two[q] + three[q] + four[q]
                else:
                    for q in range(count):
                        scores[v, q] += one[q] + two[q] + three[q] + four[q]
        for v in range(first, last):
            block = v // BLOCK
            if v % BLOCK == 0:
                for q in range(count):
                    maxima[block, q] = scores[v, q]
            else:
                for q in range(count):
                    maxima[block, q] = max(maxima[block, q], scores[v, q])


@compiled
def choose(
    scores: np.ndarray,
    best: np.ndarray,
    least: np.ndarray,
    error: np.ndarray,
    keep: int,
    found: np.ndarray,
    sure: np.ndarray,
) -> None:
    size, count = scores.shape
    columns, values = np.empty(_ROOM, np.int64), np.empty(_ROOM, np.int64)
    for q in range(count):
        # at least `keep` scores reach least[q], so the keep-th best does
        reach, inside = least[q] - error[q], 0
        for block in range(best.shape[1]):
            if best[q, block] < reach:
                continue
            for v in range(block * BLOCK, min(size, (block + 1) * BLOCK)):
                if scores[v, q] >= reach:
                    if inside < _ROOM:
                        columns[inside], values[inside] = v, scores[v, q]
                    inside += 1
        if inside > _ROOM:
            continue
        reach = np.sort(values[:inside])[inside - keep] - error[q]
        kept = 0
        for i in range(inside):
            if values[i] >= reach:
                if kept < found.shape[1]:
                    found[q, kept] = columns[i]
                kept += 1
        sure[q] = kept <= found.shape[1]
