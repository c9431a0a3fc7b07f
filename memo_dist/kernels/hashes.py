"""Hashes: the codes of associations, in one pass.

Covers: NumPy arrays. Does not cover: windows (windows.py); other devices; models/text/codes.py has the plain form that
this must equal.
"""

import numpy as np

from memo_dist.kernels import compiled


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
