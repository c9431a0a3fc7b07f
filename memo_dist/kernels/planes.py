"""Bit planes: products of packed signs with cells of few bits, by counting bits.

Covers: NumPy arrays. Does not cover: making planes (models/text/bit_planes.py), and the plain form that this
must equal (tests/reference.py).
"""

import numpy as np

from memo_dist.kernels import compiled


@compiled
def read_planes(planes: np.ndarray, banks: np.ndarray, keys: np.ndarray, out: np.ndarray) -> None:
    """out[i, j] = sum_p 2^p (d - 2 popcount(key_i ^ plane_p[j])): key i against row j of a bank or a codebook.

    Args:
        planes: (G, bits, m, d / 64) uint64; m = d for banks, V + 1 for a codebook.
        banks: (n,) int64, each key's row of planes. keys: (n, d / 64) uint64, packed.
        out: (n, m) int32, filled.
    """
    _, bits, dim, words = planes.shape
    for row in range(len(banks)):
        bank = banks[row]
        for j in range(dim):
            total = np.int64(0)
            for p in range(bits):
                apart = np.uint64(0)
                for word in range(words):
                    apart += _ones(keys[row, word] ^ planes[bank, p, j, word])
                total += (64 * words - 2 * np.int64(apart)) << p
            out[row, j] = total


@compiled
def _ones(x: np.uint64) -> np.uint64:
    # bits of a word that are set (Hacker's Delight, section 5-1); compilers know the pattern
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
