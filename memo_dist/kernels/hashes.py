"""Hashes: the windows of a line of tokens with what follows them, and the codes of associations, in one pass each.

Covers: NumPy arrays. Does not cover: laying out lines (segments.py); other devices; models/text/encoder.py and
codes.py have the plain forms that these must equal, windows up to order.

All in one file, and constants come as arguments: numba keeps what it compiled until this file changes, whatever others
do.
"""

import numpy as np

from memo_dist.kernels import compiled

_TILE = 1 << 10  # positions: their symbols and hashes stay in a core's second cache


@compiled
def window_associations(
    line: np.ndarray,
    known: np.ndarray,
    multipliers: np.ndarray,
    start: np.uint64,
    begin: np.uint64,
    salt: np.uint64,
    low: np.uint64,
    last: np.uint64,
    names: np.ndarray,
    tokens: np.ndarray,
) -> int:
    """Associations whose window hash is in [low, last]; how many.

    Args:
        line, known: (n,) int64, see segments.Chunk.
        multipliers: (L, h) uint64, odd.
        start, salt: what is added to a token before it is mixed into its symbol, and into its part of a name.
        begin: the symbol before a document.
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
            symbols[reach + i] = _mixed(np.uint64(here[i]) + start) if here[i] >= 0 else begin
            folds[i] = _mixed(np.uint64(here[i]) + salt) >> np.uint64(32)
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
                row[i] = _mixed(row[i])
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


@compiled
def association_codes(
    hashes: np.ndarray,
    tokens: np.ndarray,
    codebook: np.ndarray,
    step: np.uint64,
    keys: np.ndarray,
    values: np.ndarray,
) -> None:
    """keys[i] = key(w_i) and values[i] = O[next_i] * mask(w_i), packed.

    Args:
        hashes: (n,) uint64 window hashes w. tokens: (n,) uint32, next.
        codebook: (V + 1, d / 64) uint64, packed rows of O.
        step: between the words of a code, codes.GOLDEN.
        keys, values: (n, d / 64) uint64, filled.
    """
    words = codebook.shape[1]
    for row in range(len(hashes)):
        for word in range(words):
            keys[row, word] = _mixed(hashes[row] + np.uint64(word + 1) * step)
        for word in range(words):
            mask = _mixed(hashes[row] + np.uint64(words + word + 1) * step)
            values[row, word] = mask ^ codebook[tokens[row], word]


@compiled
def _mixed(x: np.uint64) -> np.uint64:
    """codes.mix64 of one word."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
