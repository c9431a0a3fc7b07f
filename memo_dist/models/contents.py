"""Contents: what a shard needs of its banks' contents, whatever the model.

Covers: the protocols, with a ledger and without. Does not cover: any model (text/contents.py, paper/contents.py).
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.cues import Encoder
from memo_dist.models.text.followers import Followers
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


class Contents(Protocol):
    """The matrices of a range of banks, with what is needed to add to them and to take away again."""

    banks: range

    @property
    def config(self) -> MemoryConfig:
        """The memory's definition."""
        ...

    @property
    def encoder(self) -> Encoder:
        """Tokens -> cues."""
        ...

    @property
    def with_ledger(self) -> "LedgerContents | None":
        """These contents with the methods of their ledger; None where the model keeps none."""
        ...

    def memorize(self, segments: list[Segment]) -> None:
        """Add what the segments give these banks; may be deferred until the contents are read."""
        ...

    def forget(self, segments: list[Segment]) -> None:
        """Take away what the segments gave these banks, the exact inverse of `memorize`; may be deferred."""
        ...

    def merge(self, other: "Contents") -> None:
        """Add what another one of the same model holds; its banks must lie within these."""
        ...

    def read_banks(self, start: int, stop: int) -> Array:
        """Cells of the banks from the range's start-th on, (stop - start, *config.bank_shape) of config.cell_type."""
        ...

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer the part of cues that `Model.portion` chose for these banks, (m, d) of config.vector_type."""
        ...

    @property
    def num_associations(self) -> int:
        """Associations held. With a ledger: distinct ones of these banks. Without: all of the memory, counted by the
        shard that owns bank 0."""
        ...

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, how many distinct associations of these banks have each token as the next one; None without
        a ledger."""
        ...

    def bank_digests(self) -> np.ndarray:
        """(len(banks), k, 16) uint8: BLAKE2b of each bank's cells, of its ledger entries and, where there is a ledger,
        of its anchors, all little-endian; k is `format.digests_of_a_bank`."""
        ...

    def restore(
        self, banks: range, *, cells: Iterator[np.ndarray], held: Entries, bounds: list[int], associations: int
    ) -> None:
        """Fill empty banks from a file.

        Args:
            banks: which, a part of these.
            cells: one array a bank.
            held: their ledger entries; none without a ledger.
            bounds: where each bank's entries begin in `held`, and where the last one's end.
            associations: as the file's shard counted them.
        """
        ...


class LedgerContents(Contents, Protocol):
    """Contents that count every association they hold."""

    def flush(self) -> None:
        """Do what `memorize` and `forget` deferred."""
        ...

    def absorb(self, entries: Entries) -> None:
        """Add ledger entries of these banks, given in order of names."""
        ...

    def absorb_anchors(self, entries: Entries) -> None:
        """Add anchors of these banks, given in order of names."""
        ...

    def anchor_entries(self) -> Iterator[Entries]:
        """The anchors in order of names, part by part; their tokens are the low halves of documents' keys."""
        ...

    @property
    def num_anchors(self) -> int:
        """Distinct anchors of these banks."""
        ...

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents (low halves of keys) that each of (m,) window hashes of these banks is an anchor of."""
        ...

    def between(self, low: int, high: int) -> tuple[Entries, Entries]:
        """The ledger's entries, and the anchors, whose names lie in [low, high)."""
        ...

    def entries(self) -> Iterator[Entries]:
        """The ledger in order of names, part by part."""
        ...

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes of these banks."""
        ...
