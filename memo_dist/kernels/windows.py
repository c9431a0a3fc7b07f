"""Windows: hash every window of a line of tokens and pair it with the token that follows, in one pass.

Covers: NumPy arrays. Does not cover: laying out lines (encoding/segments.py); other devices; encoding/hashed.py has the
plain form that this must equal, up to order.
"""

import numba
import numpy as np

from memo_dist.associations import TOKEN_SALT
from memo_dist.kernels.hashing import mixed

_TILE = 1 << 10  # positions: their symbols and hashes stay in a core's second cache


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
    reach = heads**layers
    tile = max(_TILE, reach)
    # of the tile, behind what the windows reach back to; loops over one layer are what the compiler makes vectors of
    symbols, folds = np.zeros(reach + tile, np.uint64), np.empty(tile, np.uint64)
    hashes = np.zeros((layers, reach + tile), np.uint64)  # of the window before each position
    found = 0
    for first in range(0, size, tile):
        count = min(size - first, tile)
        here = line[first : first + count]
        for i in range(count):
            symbols[reach + i] = mixed(np.uint64(here[i]) + start) if here[i] >= 0 else begin
            folds[i] = mixed(np.uint64(here[i]) + np.uint64(TOKEN_SALT)) >> np.uint64(32)
        stride = 1
        for layer in range(layers):
            # the window before a position ends with the symbol before it, or with a window that does
            children, back = (symbols, 1) if layer == 0 else (hashes[layer - 1], 0)
            row = hashes[layer, reach:]
            row[:count] = 0
            for j in range(heads):
                begins = reach - (heads - 1 - j) * stride - back
                child, multiplier = children[begins : begins + count], multipliers[layer, j]
                for i in range(count):
                    row[i] += child[i] * multiplier
            for i in range(count):
                row[i] = mixed(row[i])
            stride *= heads
            least = 0 if layer == 0 else stride
            for i in range(count):
                names[found], tokens[found] = row[i] ^ folds[i], here[i]
                # written always, kept by counting: a guess at what is in range would be wrong half of the time
                found += (low <= row[i]) & (row[i] <= last) & (known[first + i] >= least)
        symbols[:reach] = symbols[count : count + reach].copy()
        for layer in range(layers):
            hashes[layer, :reach] = hashes[layer, count : count + reach].copy()
    return found
