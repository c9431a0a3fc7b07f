"""The best columns of P O^T for a batch of vectors P and +-1 codes O, without the matrix product.

Covers: a search that provably finds the best `keep` of each row, or says that it did not. Does not cover: what is done
with them (hashed.py).

Method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzev, 1970), as in kernels.py: P is rounded to integers;
for every 8 of the d columns the 2^8 signed sums of these are tabulated, and a code's score is the sum of the d/8
entries that its bytes select, 32 int16 additions at d = 256 instead of 256 multiply-adds. A score is wrong by at most
the sum e of what rounding took from a row, so with a the `keep`-th best score, whatever is among the best `keep` of the
exact row scores at least a - 2e. That is what is returned; if it is too much, as among equal scores, nothing is.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

AT_ONCE = 128  # vectors tabulated together
_BLOCK = 64  # codes of which the maximum is kept
_TILE = 512  # codes scored by four tables before the next four: these and the scores stay in a core's cache
_MOST = 32767  # of a score: int16
_ROOM = 256  # columns that may be within reach before a row is given up


def best_codes(vectors: np.ndarray, codes: np.ndarray, keep: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns that hold the best `keep` of each row of P O^T.

    Args:
        vectors: (n, d) float32, P. codes: (m, d / 64) uint64, packed signs of O; m is at least `keep`.
        width: most columns to return for a row.

    Returns:
        (n, width) int64, rising and then -1; and (n,) bool: False where there were more, and the row means nothing.
    """
    octets = codes.view(np.uint8)
    found, sure = np.full((len(vectors), width), -1), np.zeros(len(vectors), bool)
    parts = -(-len(vectors) // AT_ONCE)
    for rows in np.array_split(np.arange(len(vectors)), parts) if parts else []:
        levels, error = _levels(vectors[rows])
        tables = np.empty((octets.shape[1], 256, len(rows)), np.int16)
        scores = np.empty((len(octets), len(rows)), np.int16)
        maxima = np.empty((-(-len(octets) // _BLOCK), len(rows)), np.int16)
        tabulate, scan, choose = _kernels()
        tabulate(levels, tables)
        scan(octets, tables, scores, maxima)
        best = np.ascontiguousarray(maxima.T)
        place = max(0, len(maxima) - keep)
        least = np.partition(best, place, axis=1)[:, place].astype(np.int64)
        if len(maxima) < keep:
            least[:] = -_MOST - 1  # fewer blocks than columns wanted: look at all
        first = rows[0]
        choose(scores, best, least, error, keep, found[first : first + len(rows)], sure[first : first + len(rows)])
    return found, sure


def _levels(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers (n, d) int16 whose absolute values sum to at most 32,767 in a row, proportional to the vectors but for
    rounding; and (n,) int64, 2e rounded up, in the same units."""
    exact = vectors.astype(np.float64)
    size = np.abs(exact).sum(axis=1, keepdims=True)
    exact *= (_MOST - vectors.shape[1]) / np.maximum(size, 1e-300)
    levels = np.rint(exact)
    error = 2 * np.abs(exact - levels).sum(axis=1)
    return levels.astype(np.int16), np.ceil(error).astype(np.int64) + 1


@cache
def _kernels() -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
    """tabulate, scan and choose; compiled once a machine and kept on disk by numba."""
    import numba

    @numba.njit(cache=True, nogil=True, boundscheck=False)
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

    @numba.njit(cache=True, nogil=True, boundscheck=False)
    def scan(octets: np.ndarray, tables: np.ndarray, scores: np.ndarray, maxima: np.ndarray) -> None:
        size, groups = octets.shape
        count = tables.shape[2]
        for first in range(0, size, _TILE):
            last = min(size, first + _TILE)
            for g in range(0, groups, 4):
                for v in range(first, last):
                    one, two = tables[g, octets[v, g]], tables[g + 1, octets[v, g + 1]]
                    three, four = tables[g + 2, octets[v, g + 2]], tables[g + 3, octets[v, g + 3]]
                    if g == 0:
                        for q in range(count):
                            scores[v, q] = one[q] + two[q] + three[q] + four[q]
                    else:
                        for q in range(count):
                            scores[v, q] += one[q] + two[q] + three[q] + four[q]
            for v in range(first, last):
                block = v // _BLOCK
                if v % _BLOCK == 0:
                    for q in range(count):
                        maxima[block, q] = scores[v, q]
                else:
                    for q in range(count):
                        maxima[block, q] = max(maxima[block, q], scores[v, q])

    @numba.njit(cache=True, nogil=True, boundscheck=False)
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
                for v in range(block * _BLOCK, min(size, (block + 1) * _BLOCK)):
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

    return tabulate, scan, choose
