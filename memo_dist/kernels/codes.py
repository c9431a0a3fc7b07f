"""Codes of associations: packed keys and masked values in one pass.

Covers: NumPy arrays. Does not cover: other devices; codes.py, one folder up, has the plain form that this must equal.
"""

import numba
import numpy as np

from memo_dist.codes import GOLDEN
from memo_dist.kernels.hashing import mixed


@numba.njit(cache=True, nogil=True, boundscheck=False)
def association_codes(
    hashes: np.ndarray, tokens: np.ndarray, codebook: np.ndarray, keys: np.ndarray, values: np.ndarray
) -> None:
    """keys[i] = key(w_i) and values[i] = O[next_i] * mask(w_i), packed.

    Args:
        hashes: (n,) uint64 window hashes w. tokens: (n,) uint32, next.
        codebook: (V + 1, d / 64) uint64, packed rows of O.
        keys, values: (n, d / 64) uint64, filled.
    """
    words = codebook.shape[1]
    for row in range(len(hashes)):
        for word in range(words):
            keys[row, word] = mixed(hashes[row] + np.uint64(word + 1) * np.uint64(GOLDEN))
        for word in range(words):
            mask = mixed(hashes[row] + np.uint64(words + word + 1) * np.uint64(GOLDEN))
            values[row, word] = mask ^ codebook[tokens[row], word]
