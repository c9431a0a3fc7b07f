"""What a shard needs of its banks' contents, whatever the preset.

Covers: the protocol. Does not cover: any model (text/contents.py, paper/contents.py).
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.device.backend import Array
from memo_dist.models.cues import Encoder
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


class Contents(Protocol):
    """The matrices of a range of banks, with what is needed to add to them and to take away again."""

    banks: range

    @property
    def config(self) -> MemoryConfig:
        """The memory's definition."""
        ...

    def read_banks(self, start: int, stop: int) -> Array:
        """Cells of the banks from the range's start-th on, (stop - start, *config.bank_shape) of config.cell_type."""
        ...

    @property
    def encoder(self) -> Encoder:
        """Tokens -> cues."""
        ...

    def add(self, segments: list[Segment], sign: int) -> None:
        """Memorize (sign = 1) or forget (sign = -1) what the segments give these banks; may be deferred."""
        ...

    def flush(self) -> None:
        """Do what was deferred."""
        ...

    def merge(self, other: "Contents") -> None:
        """Add what another one holds; its banks must lie within these."""
        ...

    def absorb(self, entries: Entries) -> None:
        """Add ledger entries of these banks, given in order of names; the preset paper has none and refuses."""
        ...

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer the part of cues that `portion` chose for these banks, (m, d) of config.vector_type."""
        ...

    def entries(self) -> Iterator[Entries]:
        """The ledger in order of names, part by part; nothing where the preset keeps none."""
        ...

    @property
    def num_entries(self) -> int:
        """How many `entries` there are."""
        ...

    @property
    def num_associations(self) -> int:
        """Associations held. Preset text: distinct ones of these banks. Preset paper: all of the memory, counted by
        whoever owns bank 0."""
        ...

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 2, 16) uint8: BLAKE2b of each bank's cells and of its ledger entries, both little-endian."""
        ...

    def restore(
        self, banks: range, bounds: list[int], held: Entries, cells: Iterator[np.ndarray], associations: int
    ) -> None:
        """Fill empty banks from a file.

        Args:
            banks: which, a part of these.
            bounds: where each bank's entries begin in `held`, and where the last one's end.
            held: ledger entries.
            cells: one array a bank.
            associations: as the file's shard counted them.
        """
        ...
