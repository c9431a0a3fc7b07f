"""Windows: hash every window of a line of tokens and pair it with the token that follows, in one pass.

Covers: NumPy arrays. Does not cover: laying out lines (encoding/segments.py); other devices; encoding/hashed.py has the
plain form that this must equal, up to order.
"""

import numba
import numpy as np

from memo_dist.associations import TOKEN_SALT
from memo_dist.kernels.hashing import mixed

_TILE = 1 << 11  # positions: their symbols and hashes stay in a core's second cache


@numba.njit(cache=True, nogil=True, boundscheck=False)
def window_associations(
    line: np.ndarray,
    known: np.ndarray,
    multipliers: np.ndarray,
    start: np.uint64,
    begin: np.uint64,
    low: np.uint64,
    last: np.uint64,
    names: np.ndarray,
    tokens: np.ndarray,
) -> int:
    """Associations whose window hash is in [low, last]; how many.

    Args:
        line, known: (n,) int64, see segments.Chunk.
        multipliers: (L, h) uint64, odd.
        start: what is added to a token before it is mixed into its symbol. begin: the symbol before a document.
        names: (L n + 1,) uint64 and tokens: (L n + 1,) uint32, filled from the front.
    """
    size, (layers, heads) = len(line), multipliers.shape
    symbols = np.empty(size, np.uint64)
    hashes = np.zeros((layers, size), np.uint64)  # of the window before each position
    found = 0
    for first in range(0, size, _TILE):
        stop = min(size, first + _TILE)
        for i in range(first, stop):
            symbols[i] = mixed(np.uint64(line[i]) + start) if line[i] >= 0 else begin
        for i in range(max(first, heads), stop):
            total = np.uint64(0)
            for j in range(heads):
                total += symbols[i - heads + j] * multipliers[0, j]
            hashes[0, i] = mixed(total)
        stride = heads
        for layer in range(1, layers):
            for i in range(max(first, heads * stride), stop):
                total = np.uint64(0)
                for j in range(heads):
                    total += hashes[layer - 1, i - (heads - 1 - j) * stride] * multipliers[layer, j]
                hashes[layer, i] = mixed(total)
            stride *= heads
        for i in range(first, stop):
            if known[i] < 0:
                continue
            fold = mixed(np.uint64(line[i]) + np.uint64(TOKEN_SALT)) >> np.uint64(32)
            window = heads
            for layer in range(layers):
                value = hashes[layer, i]
                names[found], tokens[found] = value ^ fold, line[i]
                # written always, kept by counting: a guess at what is in range would be wrong half of the time
                found += (low <= value) & (value <= last) & ((layer == 0) | (known[i] >= window))
                window *= heads
    return found
