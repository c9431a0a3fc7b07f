"""What a shard needs of its banks' contents, whatever the preset.

Covers: the protocol, and the two functions that tell presets apart when a memory is read. Does not cover: any preset.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.device.backend import Array
from memo_dist.models.cues import Encoder
from memo_dist.models.text.associations import bank_of
from memo_dist.models.text.banks import read_banks
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


class Contents(Protocol):
    """The matrices of a range of banks, with what is needed to add to them and to take away again."""

    config: MemoryConfig
    banks: range

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


def portion(config: MemoryConfig, cues: np.ndarray, banks: range) -> tuple[np.ndarray, np.ndarray]:
    """What of some cues concerns `banks`: (rows, part).

    Preset text: (m,) hashes -> the rows whose bank is among them. Preset paper: (m, key_dim) keys -> all rows, the
    banks' columns. The answers of several shards, added row by row, are the memory's.
    """
    if config.preset == "paper":
        width = config.bank_shape[0]
        return np.arange(len(cues)), cues[:, banks.start * width : banks.stop * width]
    bank = bank_of(cues, config.num_banks)
    rows = np.flatnonzero((bank >= banks.start) & (bank < banks.stop))
    return rows, cues[rows]


def read_cells(config: MemoryConfig, cues: np.ndarray, cells_of: Callable[[int], np.ndarray]) -> np.ndarray:
    """Answer cues one bank at a time; `cells_of(bank)` gives its cells."""
    if config.preset == "text":
        return np.asarray(read_banks(config, cues, cells_of))
    total = np.zeros((len(cues), config.inner_dim), np.float32)
    for bank in range(config.num_banks):
        total += portion(config, cues, range(bank, bank + 1))[1] @ cells_of(bank)
    return total
