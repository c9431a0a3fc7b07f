"""LedgerLayout: how a ledger of so many rows is packed, as far as that follows from that number.

Covers: sizes of streams of bits, how many bits go where. Does not cover: tokens and counts, whose sizes depend on the
rows; writing (ledger_writer.py), reading (ledger_reader.py). The layout is stated in
docs/reference/format.md.

Names rise and are spread evenly, so they are kept as Elias and Fano do (Elias 1974; Fano 1971; Vigna 2013, "Quasi-
succinct indices"): the lower bits of each as they are, the upper ones as places of ones in a stream of bits,
    place(i) = (name_i - low >> lower) + i.
That is about 2 bits more than log2(span / rows) a row. Because names of a bank are a range, a bank's part of the stream
begins where its first name can, at (edge >> lower) + its first row: banks need no index but their rows.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.files.packing.words import words_for
from memo_dist.models.text.bank_assignment import bank_edge

COLUMNS = ("uppers", "lowers")


@dataclass(frozen=True)
class LedgerLayout:
    """The ledger of a range of banks.

    Attributes:
        banks: the range. num_banks: of the memory.
        rows: associations in all.
        largest: the largest token, or whatever a window is associated with.
    """

    banks: range
    num_banks: int
    rows: int
    largest: int

    @property
    def low(self) -> int:
        """The smallest name."""
        return bank_edge(self.banks.start, self.num_banks)

    @property
    def span(self) -> int:
        """How many names there can be."""
        return bank_edge(self.banks.stop, self.num_banks) - self.low

    @property
    def lower_bits(self) -> int:
        """Bits of a name that are kept as they are: floor(log2(span / rows)), 63 at most."""
        return min(63, max(0, (self.span // self.rows).bit_length() - 1)) if self.rows else 0

    @property
    def token_planes(self) -> int:
        """Bytes of a token."""
        return -(-self.largest.bit_length() // 8)

    @property
    def bits(self) -> dict[str, int]:
        """Bits of every stream of bits."""
        uppers = self.rows + (self.span - 1 >> self.lower_bits) + 1 if self.rows else 0
        return dict(zip(COLUMNS, (uppers, self.rows * self.lower_bits), strict=True))

    @property
    def words(self) -> dict[str, int]:
        """64-bit words of every stream of bits."""
        return {name: words_for(bits) for name, bits in self.bits.items()}


def bank_names(banks: range, num_banks: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest name of each bank, (n,) uint64."""
    count = np.uint64(num_banks)
    halves = (
        (np.arange(banks.start, banks.stop + 1, dtype=np.uint64) << np.uint64(32)) + count - np.uint64(1)
    ) // count
    edges = halves << np.uint64(32)  # 2^64, the edge behind the last bank, becomes 0
    return edges[:-1], edges[1:] - np.uint64(1)
