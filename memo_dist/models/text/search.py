"""The best columns of P O^T for a batch of vectors P and +-1 codes O, without the matrix product.

Covers: a search that provably finds the best `keep` of each row, or says that it did not. Does not cover: what is done
with them (cleanup.py).

Method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzev, 1970), as in kernels/banks.py: P is rounded to
integers; for every 8 of the d columns the 2^8 signed sums of these are tabulated, and a code's score is the sum of the
d/8 entries that its bytes select, 32 int16 additions at d = 256 instead of 256 multiply-adds. A score is wrong by at
most the sum e of what rounding took from a row, so with a the `keep`-th best score, whatever is among the best `keep`
of the exact row scores at least a - 2e. That is what is returned; if it is too much, as among equal scores, nothing
is.

A code may have a term of its own beside the product, as a prior is. Terms are tabulated for 256 classes of codes, one
more octet of each code; what a class leaves open of a code's term counts as rounding.
"""

import numpy as np

from memo_dist.models.text.prior import ClassTerms

AT_ONCE = 128  # vectors tabulated together
_MOST = 32767  # of a score: int16


def best_codes(
    vectors: np.ndarray, codes: np.ndarray, *, keep: int, width: int, terms: ClassTerms | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Columns that hold the best `keep` of each row of P O^T.

    Args:
        vectors: (n, d) float32, P. codes: (m, d / 64) uint64, packed signs of O; m is at least `keep`.
        width: most columns to return for a row.
        terms: added to the codes' scores; None: nothing.

    Returns:
        (n, width) int64, rising and then -1; and (n,) bool: False where there were more, and the row means nothing.
    """
    from memo_dist.kernels.tables import BLOCK, choose, scan, tabulate

    octets = codes.view(np.uint8)
    terms = terms or ClassTerms(np.zeros(len(codes), np.uint8), np.zeros((len(vectors), 256)), np.zeros(len(vectors)))
    found, sure = np.full((len(vectors), width), -1), np.zeros(len(vectors), bool)
    parts = -(-len(vectors) // AT_ONCE)
    for rows in np.array_split(np.arange(len(vectors)), parts) if parts else []:
        levels, kinds, error = _levels(vectors[rows], terms.of(rows))
        tables = np.empty((octets.shape[1], 256, len(rows)), np.int16)
        scores = np.empty((len(octets), len(rows)), np.int16)
        maxima = np.empty((-(-len(octets) // BLOCK), len(rows)), np.int16)
        tabulate(levels, tables)
        scan(octets, terms.classes, tables, kinds, scores, maxima)
        best = np.ascontiguousarray(maxima.T)
        place = max(0, len(maxima) - keep)
        least = np.partition(best, place, axis=1)[:, place].astype(np.int64)
        if len(maxima) < keep:
            least[:] = -_MOST - 1  # fewer blocks than columns wanted: look at all
        first = rows[0]
        choose(scores, best, least, error, keep, found[first : first + len(rows)], sure[first : first + len(rows)])
    return found, sure


def _levels(vectors: np.ndarray, terms: ClassTerms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors and terms in whole numbers that no sum of which leaves int16, proportional to what they are but for
    rounding: (n, d) int16 and (256, n) int16; and (n,) int64, 2e rounded up, in the same units."""
    exact, added = vectors.astype(np.float64), terms.values
    size = np.abs(exact).sum(axis=1, keepdims=True) + np.abs(added).max(axis=1, keepdims=True)
    factor = (_MOST - vectors.shape[1]) / np.maximum(size, 1e-300)
    exact, added = exact * factor, added * factor
    levels, kinds = np.rint(exact), np.rint(added)
    error = np.abs(exact - levels).sum(axis=1) + np.abs(added - kinds).max(axis=1) + terms.error * factor[:, 0]
    return levels.astype(np.int16), kinds.T.astype(np.int16, order="C"), np.ceil(2 * error).astype(np.int64) + 1
