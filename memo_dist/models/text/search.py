"""The best columns of P O^T for a batch of vectors P and +-1 codes O, without the matrix product.

Covers: a search that provably finds the best `keep` of each row, or says that it did not. Does not cover: what is done
with them (cleanup.py).

Method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzev, 1970), as in kernels/banks.py: P is rounded to
integers; for every 8 of the d columns the 2^8 signed sums of these are tabulated, and a code's score is the sum of the
d/8 entries that its bytes select, 32 int16 additions at d = 256 instead of 256 multiply-adds. A score is wrong by at
most the sum e of what rounding took from a row, so with a the `keep`-th best score, whatever is among the best `keep`
of the exact row scores at least a - 2e. That is what is returned; if it is too much, as among equal scores, nothing
is.
"""

import numpy as np

AT_ONCE = 128  # vectors tabulated together
_MOST = 32767  # of a score: int16


def best_codes(vectors: np.ndarray, codes: np.ndarray, *, keep: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns that hold the best `keep` of each row of P O^T.

    Args:
        vectors: (n, d) float32, P. codes: (m, d / 64) uint64, packed signs of O; m is at least `keep`.
        width: most columns to return for a row.

    Returns:
        (n, width) int64, rising and then -1; and (n,) bool: False where there were more, and the row means nothing.
    """
    from memo_dist.kernels.tables import BLOCK, choose, scan, tabulate

    octets = codes.view(np.uint8)
    found, sure = np.full((len(vectors), width), -1), np.zeros(len(vectors), bool)
    parts = -(-len(vectors) // AT_ONCE)
    for rows in np.array_split(np.arange(len(vectors)), parts) if parts else []:
        levels, error = _levels(vectors[rows])
        tables = np.empty((octets.shape[1], 256, len(rows)), np.int16)
        scores = np.empty((len(octets), len(rows)), np.int16)
        maxima = np.empty((-(-len(octets) // BLOCK), len(rows)), np.int16)
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
