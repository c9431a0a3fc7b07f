"""HashedContents: banks of the preset text, with the ledger of what they hold.

Covers: buffering, keeping ledger and matrices in step. Does not cover: batches and documents (shard.py).

Associations wait (stores/pending.py) until enough of them do, are sorted and merged into the ledger; only the
associations that became held, or ceased to be held, reach the matrices, in bank order. State is a function of the set
of associations, not of their order.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.digests import array_digest
from memo_dist.models.contents import Contents
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT, Associations
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.followers import Followers, find_followers, gathered
from memo_dist.models.text.ledger import Entries, Ledger
from memo_dist.segments import Segment
from memo_dist.stores.banks import HostBanks, bank_store
from memo_dist.stores.parts import HostParts, PartStore, ResidentParts
from memo_dist.stores.pending import Pending
from memo_dist.tokenizer import Tokenizer

PART_ENTRIES = 1 << 19  # associations of a ledger part: what one merge step holds twice
_PER_ANCHOR = 32  # associations for each anchor, about


class HashedContents:
    """Banks `banks` of a text memory.

    Args:
        config: the memory's definition.
        banks: the range owned.
        room: where banks and ledger are kept, and how much they may take.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(
        self, config: TextConfig, banks: range, room: ShardRoom, *, tokenizer: Tokenizer | None = None
    ) -> None:
        self.config, self.banks, self.xp = config, banks, room.xp
        self.encoder = HashedEncoder(config, tokenizer)
        self._counts: np.ndarray | None = None  # of next tokens, until the ledger changes
        values = value_words(config.vocab_size, config.inner_dim, config.seed, xp=room.xp)
        shape = (len(banks), *config.bank_shape)
        store = bank_store(shape, config.cell_type, xp=room.xp, device_room=room.device_room)
        self.matrices = BankRange(config, banks, values, xp=room.xp, store=store)
        parts, (low, high) = 1 + room.expected // PART_ENTRIES, self._edges
        # where a device cannot hold the banks, their ledger, a fifth of their size, stays in host memory with them
        behind = isinstance(self.matrices.store, HostBanks)
        kept: PartStore = HostParts(parts, room.xp) if behind else ResidentParts(parts, room.xp)
        self.ledger = Ledger(low, high, parts, xp=room.xp, store=kept)
        self._pending = Pending(room.buffer, room.xp)
        self.anchors = Ledger(low, high, 1 + parts // _PER_ANCHOR)
        self._anchored = Pending(room.buffer)

    @property
    def _edges(self) -> tuple[int, int]:
        """The names that can belong to these banks: [low, high)."""
        return bank_edge(self.banks.start, self.config.num_banks), bank_edge(self.banks.stop, self.config.num_banks)

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
        for following, documents in self.encoder.kinds(segments, self.banks):
            arrays = to_device(following.names, self.xp), to_device(following.tokens, self.xp)
            self._pending.add(Associations(*arrays), sign)
            if len(documents):
                self._anchored.add(documents, sign)
            if self._pending.full or self._anchored.full:
                self.flush()

    def flush(self) -> None:
        """Merge what is buffered into the ledger and apply the difference to the matrices.

        What is to be memorized goes first, so a forget of the same buffer finds it.
        """
        for sign, associations in self._pending.take():
            self._counts = None
            for change in self.ledger.merge(associations, weight=sign):
                self.matrices.memorize(change.added)
                self.matrices.forget(change.removed)
        for sign, associations in self._anchored.take():
            for _ in self.anchors.merge(associations, weight=sign):
                pass  # anchors are counted, and in no matrix

    def merge(self, other: Contents) -> None:
        """Add what another one holds. Only associations that are new here reach the matrices: adding cells would count
        shared ones twice."""
        if other.with_ledger is None:
            raise TypeError(f"{type(other).__name__} keeps no ledger to merge from")
        for part in other.with_ledger.entries():
            self.absorb(part)
        for part in other.with_ledger.anchor_entries():
            self.absorb_anchors(part)

    def absorb(self, entries: Entries) -> None:
        """See LedgerContents."""
        self.flush()
        self._counts = None
        for change in self.ledger.merge_entries(_counts_signed(entries, self.xp)):
            self.matrices.memorize(change.added)

    def absorb_anchors(self, entries: Entries) -> None:
        """See LedgerContents."""
        self.flush()
        for _ in self.anchors.merge_entries(_counts_signed(entries, np)):
            pass

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """(m,) hashes of these banks' windows -> (m, d) int32."""
        self.flush()
        return to_host(self.matrices.retrieve(to_device(part, self.xp)))

    def between(self, low: int, high: int) -> tuple[Entries, Entries]:
        """See LedgerContents."""
        self.flush()
        return self.ledger.between(low, high), self.anchors.between(low, high)

    def entries(self) -> Iterator[Entries]:
        """The ledger, part by part."""
        self.flush()
        yield from self.ledger.parts()

    def anchor_entries(self) -> Iterator[Entries]:
        """The ledger of anchors, part by part."""
        self.flush()
        yield from self.anchors.parts()

    def followers(self, hashes: np.ndarray) -> Followers:
        """See LedgerContents."""
        self.flush()
        return _found(self.ledger, hashes, TOKEN_SALT)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """See LedgerContents."""
        self.flush()
        return _found(self.anchors, hashes, DOCUMENT_SALT)

    @property
    def num_associations(self) -> int:
        """Distinct associations held."""
        self.flush()
        return len(self.ledger)

    @property
    def num_anchors(self) -> int:
        """See LedgerContents."""
        self.flush()
        return len(self.anchors)

    def token_counts(self) -> np.ndarray:
        """See Contents."""
        self.flush()
        if self._counts is None:
            self._counts = to_host(self.ledger.token_counts(self.config.vocab_size + 1))
        return self._counts

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 3, 16) uint8; see Contents."""
        self.flush()
        digests = np.empty((len(self.banks), 3, 16), np.uint8)
        for row, bank in enumerate(self.banks):
            edges = bank_edge(bank, self.config.num_banks), bank_edge(bank + 1, self.config.num_banks)
            held = self.ledger.between(*edges)
            digests[row, 0] = array_digest(self.matrices.store.read(row, row + 1))
            anchored = self.anchors.between(*edges)
            digests[row, 1] = array_digest(held.names, held.tokens, held.counts)
            digests[row, 2] = array_digest(anchored.names, anchored.tokens, anchored.counts)
        return digests

    def restore(
        self, banks: range, *, cells: Iterator[np.ndarray], held: Entries, bounds: list[int], associations: int
    ) -> None:
        """Fill empty banks from a file; see Contents."""
        for bank, start, stop, values in zip(banks, bounds[:-1], bounds[1:], cells, strict=True):
            self.matrices.store.fill(bank - self.banks.start, values)
            self.matrices.loads[bank - self.banks.start] = stop - start
        self._counts = None
        for _ in self.ledger.merge_entries(_counts_signed(held, self.xp)):
            pass  # the matrices were read, not rebuilt


def _counts_signed(entries: Entries, xp: ModuleType) -> Entries:
    """Entries whose counts may be added to others."""
    arrays = (entries.names, entries.tokens, entries.counts.astype(np.int64))
    return Entries(*(to_device(array, xp) for array in arrays))


def _found(ledger: Ledger, hashes: np.ndarray, salt: int) -> Followers:
    asked = []
    for part, rows in ledger.parts_of(hashes):
        held = Entries(to_host(part.names), to_host(part.tokens), to_host(part.counts))
        asked.append((rows, find_followers(held, hashes[rows], salt=salt)))
    return gathered(asked, len(hashes))
