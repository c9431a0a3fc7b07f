"""Values: what a window of a ladder is solved for, in a few bits.

Covers: the next token, whether it is the only one, check bits; the value of an anchor. Does not cover: tables of values
(table.py).

    bits 0 .. c - 1: check    bit c: ambiguous    bits c + 1 ...: the token, the number of a document, or a code of it
The check bits are those of another mix of the window's hash, so a window that is not held passes with probability 2^-c.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.codes import GOLDEN, mix64

MOST_CHECK_BITS = 16
CHECK_SALT = 0x636865636B  # "check"


@dataclass(frozen=True)
class ValueLayout:
    """How values are laid out.

    Attributes:
        check_bits: c. number_bits: of the token, or the document.
    """

    check_bits: int
    number_bits: int

    @classmethod
    def of(cls, largest: int, check_bits: int) -> "ValueLayout":
        """For numbers from 0 to `largest`."""
        return cls(check_bits, max(1, largest.bit_length()))

    def near_bits(self, code_bits: int) -> int:
        """Of a value with a code; with 0, of one with the number itself."""
        return self.check_bits + 1 + (code_bits or self.number_bits)

    def values(self, hashes: np.ndarray, numbers: np.ndarray, several: np.ndarray) -> np.ndarray:
        """(n,) uint64 values of windows."""
        shift = np.uint64(self.check_bits)
        marked = (numbers.astype(np.uint64) << np.uint64(1)) | several.astype(np.uint64)
        found: np.ndarray = (marked << shift) | self.checks(hashes)
        return found

    def checks(self, hashes: np.ndarray) -> np.ndarray:
        """(n,) uint64 check bits of windows."""
        salted = hashes ^ np.uint64(CHECK_SALT)
        checks: np.ndarray = mix64(salted + np.uint64(GOLDEN)) & np.uint64((1 << self.check_bits) - 1)
        return checks
