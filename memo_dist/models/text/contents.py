"""HashedContents: banks of the preset text, with the ledger of what they hold.

Covers: buffering, keeping ledger and matrices in step. Does not cover: batches and documents (shard.py).

Associations wait (stores/pending.py) until enough of them do, are sorted and merged into the ledger; only the
associations that became held, or ceased to be held, reach the matrices, in bank order. State is a function of the set
of associations, not of their order.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.digests import array_digest
from memo_dist.errors import BudgetError
from memo_dist.models.contents import Contents
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Entries, Ledger
from memo_dist.segments import Segment
from memo_dist.stores.banks import HostBanks, bank_store
from memo_dist.stores.parts import FileParts, HostParts, PartStore, ResidentParts
from memo_dist.stores.pending import ROW as PENDING_ROW
from memo_dist.stores.pending import FilePending, PendingStore, ResidentPending

PART_ENTRIES = 1 << 19  # associations of a ledger part: what one merge step holds twice
FILE_PART_ENTRIES = 1 << 17  # out of core: less memory, and less to read again where a piece is merged


class HashedContents:
    """Banks `banks` of a text memory.

    Args:
        config: the memory's definition.
        banks: the range owned.
        room: where banks and ledger are kept, and how much they may take.
    """

    def __init__(self, config: TextConfig, banks: range, room: ShardRoom) -> None:
        self.config, self.banks, self.xp = config, banks, room.xp
        self.encoder = HashedEncoder(config, room.xp)
        self._max = room.max_associations
        values = value_words(config.vocab_size, config.inner_dim, config.seed, xp=room.xp)
        shape = (len(banks), *config.bank_shape)
        store = bank_store(shape, config.cell_type, xp=room.xp, scratch=room.scratch, device_room=room.device_room)
        self.matrices = BankRange(config, banks, values, xp=room.xp, store=store)
        if room.scratch is None:
            self._keep_in_memory(room)
        else:
            self._keep_on_disk(room, room.scratch)

    @property
    def _edges(self) -> tuple[int, int]:
        """The names that can belong to these banks: [low, high)."""
        return bank_edge(self.banks.start, self.config.num_banks), bank_edge(self.banks.stop, self.config.num_banks)

    def _keep_in_memory(self, room: ShardRoom) -> None:
        parts, (low, high) = 1 + room.expected // PART_ENTRIES, self._edges
        # where a device cannot hold the banks, their ledger, a fifth of their size, stays in host memory with them
        behind = isinstance(self.matrices.store, HostBanks)
        kept: PartStore = HostParts(parts, room.xp) if behind else ResidentParts(parts, room.xp)
        self.ledger = Ledger(low, high, parts, xp=room.xp, store=kept)
        self._pending: PendingStore = ResidentPending(room.buffer, room.xp)

    def _keep_on_disk(self, room: ShardRoom, scratch: Path) -> None:
        parts, (low, high) = 1 + room.expected // FILE_PART_ENTRIES, self._edges
        self.ledger = Ledger(low, high, parts, xp=room.xp, store=FileParts(scratch, parts, room.xp))
        # as many bytes as a pass over the banks reads
        limit = max(4 * room.buffer, len(self.banks) * self.config.bank_bytes // PENDING_ROW)
        edges = Ledger.edges(low, high, parts)
        self._pending = FilePending(scratch, edges, piece=room.buffer, limit=limit, xp=room.xp)

    def read_banks(self, start: int, stop: int) -> Array:
        """See Contents."""
        self.flush()
        return self.matrices.store.read(start, stop)

    @property
    def with_ledger(self) -> "HashedContents":
        """These contents: every association is counted."""
        return self

    def memorize(self, segments: list[Segment]) -> None:
        """Keep the segments' associations, to be added."""
        self._defer(segments, 1)

    def forget(self, segments: list[Segment]) -> None:
        """Keep the segments' associations, to be taken away."""
        self._defer(segments, -1)

    def _defer(self, segments: list[Segment], sign: int) -> None:
        for found in self.encoder.associations(segments, self.banks):
            self._pending.add(found, sign)
            if self._pending.full:
                self.flush()

    def flush(self) -> None:
        """Merge what is buffered into the ledger and apply the difference to the matrices.

        What is to be memorized goes first, so a forget of the same buffer finds it.

        Raises:
            BudgetError: there is more than was planned.
        """
        for sign, associations in self._pending.take():
            for change in self.ledger.merge(associations, weight=sign):
                self.matrices.memorize(change.added)
                self.matrices.forget(change.removed)
        if self._max is not None and len(self.ledger) > self._max:
            raise BudgetError(
                f"banks {self.banks.start}-{self.banks.stop - 1} hold {len(self.ledger):,} associations, more than the "
                f"{self._max:,} planned from a sample of the corpus; give --memory-budget more room or --banks"
            )

    def merge(self, other: Contents) -> None:
        """Add what another one holds. Only associations that are new here reach the matrices: adding cells would count
        shared ones twice."""
        if other.with_ledger is None:
            raise TypeError(f"{type(other).__name__} keeps no ledger to merge from")
        for part in other.with_ledger.entries():
            self.absorb(part)

    def absorb(self, entries: Entries) -> None:
        """Add ledger entries of these banks, given in order of names."""
        self.flush()
        arrays = (entries.names, entries.tokens, entries.counts.astype(np.int64))
        for change in self.ledger.merge_entries(Entries(*(to_device(a, self.xp) for a in arrays))):
            self.matrices.memorize(change.added)

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """(m,) hashes of these banks' windows -> (m, d) int32."""
        self.flush()
        return to_host(self.matrices.retrieve(to_device(part, self.xp)))

    def entries(self) -> Iterator[Entries]:
        """The ledger, part by part."""
        self.flush()
        yield from self.ledger.parts()

    @property
    def num_associations(self) -> int:
        """Distinct associations held."""
        self.flush()
        return len(self.ledger)

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 2, 16) uint8; see Contents."""
        self.flush()
        digests = np.empty((len(self.banks), 2, 16), np.uint8)
        for row, bank in enumerate(self.banks):
            edges = bank_edge(bank, self.config.num_banks), bank_edge(bank + 1, self.config.num_banks)
            held = self.ledger.between(*edges)
            digests[row, 0] = array_digest(self.matrices.store.read(row, row + 1))
            digests[row, 1] = array_digest(held.names, held.tokens, held.counts)
        return digests

    def restore(
        self, banks: range, *, cells: Iterator[np.ndarray], held: Entries, bounds: list[int], associations: int
    ) -> None:
        """Fill empty banks from a file; see Contents."""
        for bank, start, stop, values in zip(banks, bounds[:-1], bounds[1:], cells, strict=True):
            self.matrices.store.fill(bank - self.banks.start, values)
            self.matrices.loads[bank - self.banks.start] = stop - start
        arrays = (held.names, held.tokens, held.counts.astype(np.int64))
        for _ in self.ledger.merge_entries(Entries(*(to_device(a, self.xp) for a in arrays))):
            pass  # the matrices were read, not rebuilt
