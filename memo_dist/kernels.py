"""CPU kernel for banks: add many rank-1 products of sign codes, straight from their packed bits.

Covers: C += sum_i sign * key_i^T value_i for one bank of int16 cells, compiled by numba. Does not cover: other devices;
cmm.py holds the plain form, a GEMM of expanded codes, that this must equal to the bit.

Method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzev, 1970): eight associations at a time, the 2^8 signed
sums of their value rows are tabulated, and every row of the bank adds the one that its eight key bits select. That is
64 int8 additions a cell and 8 associations where a GEMM makes 8 multiply-adds, and codes are never expanded to floats.
Sums of 8 values fit int8 fifteen times over, so 15 groups are added up in int8 before they reach the int16 cells.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

_GROUP = 8  # associations tabulated together: one byte of key bits
_RUN = 15  # groups that int8 can add up: 15 * 8 < 128

BankKernel = Callable[[np.ndarray, np.ndarray, np.ndarray, int], None]


@cache
def bank_kernel() -> BankKernel:
    """The compiled kernel `add(cells, keys, values, sign)`; compiled once a machine and kept on disk by numba.

    cells (d, d) int16 is updated in place, modulo 2^16; keys and values are packed codes (m, d / 64) uint64.
    """
    import numba

    @numba.njit(cache=True, nogil=True, boundscheck=False)
    def transpose_bits(x: np.uint64) -> np.uint64:
        # an 8 x 8 bit matrix, byte i bit j -> byte j bit i (Hacker's Delight, section 7-3)
        t = (x ^ (x >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
        x = x ^ t ^ (t << np.uint64(7))
        t = (x ^ (x >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
        x = x ^ t ^ (t << np.uint64(14))
        t = (x ^ (x >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
        return x ^ t ^ (t << np.uint64(28))

    @numba.njit(cache=True, nogil=True, boundscheck=False)
    def add(cells: np.ndarray, keys: np.ndarray, values: np.ndarray, sign: int) -> None:
        count, words = keys.shape
        dim = cells.shape[0]
        groups = (count + _GROUP - 1) // _GROUP
        patterns = np.empty((groups, dim), np.uint8)
        for group in range(groups):
            for word in range(words):
                for octet in range(8):
                    packed = np.uint64(0)
                    for member in range(_GROUP):
                        row = group * _GROUP + member
                        if row < count:
                            bits = (keys[row, word] >> np.uint64(8 * octet)) & np.uint64(255)
                            packed |= bits << np.uint64(8 * member)
                    packed = transpose_bits(packed)
                    for bit in range(8):
                        patterns[group, 64 * word + 8 * octet + bit] = np.uint8(packed >> np.uint64(8 * bit))
        sums = np.empty((dim, 64), np.int8)
        table = np.empty((256, 64), np.int8)
        ones = np.empty((_GROUP, 64), np.int8)
        for word in range(words):
            for first in range(0, groups, _RUN):
                sums[:] = 0
                for group in range(first, min(groups, first + _RUN)):
                    table[0] = 0
                    for member in range(_GROUP):
                        row = group * _GROUP + member
                        here = row < count
                        word_bits = values[row, word] if here else np.uint64(0)
                        for c in range(64):
                            ones[member, c] = here - 2 * np.int8((word_bits >> np.uint64(c)) & np.uint64(1))
                        for c in range(64):
                            table[0, c] += ones[member, c]
                    # a key bit of 0 is +1: each set bit turns one value around
                    for member in range(_GROUP):
                        half = 1 << member
                        for pattern in range(half):
                            for c in range(64):
                                table[half + pattern, c] = table[pattern, c] - 2 * ones[member, c]
                    for i in range(dim):
                        chosen = patterns[group, i]
                        for c in range(64):
                            sums[i, c] += table[chosen, c]
                if sign > 0:
                    for i in range(dim):
                        for c in range(64):
                            cells[i, 64 * word + c] += sums[i, c]
                else:
                    for i in range(dim):
                        for c in range(64):
                            cells[i, 64 * word + c] -= sums[i, c]

    return add
