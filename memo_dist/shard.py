"""Shard: a contiguous range of banks with everything that belongs to them. The unit that an actor owns.

Covers: taking in batches exactly once and taking them out again, documents' records, retrieval, digests. Does not
cover: matrices (contents), files (storage.py), Ray (cluster/actor.py), several shards together (memory.py, cluster).

State is a function of the set of batches, not of their order (for the preset paper, within float32 rounding).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, read_batch
from memo_dist.config import MemoryConfig
from memo_dist.documents import DocumentRegistry, document_key, record_of
from memo_dist.errors import NotMemorizedError, TokenizerError
from memo_dist.models import model_of
from memo_dist.models.protocol import DEFAULT_BUFFER, ShardRoom
from memo_dist.models.text.associations import bank_edge
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


@dataclass(frozen=True)
class Applied:
    """What a batch added, as the shard that keeps the documents' records counts it. `fresh` is False for a repeat."""

    batch_id: str
    fresh: bool
    tokens: int
    documents: int
    skipped: int
    replaced: int
    empty: int


class Shard:
    """Banks `banks` of a memory.

    Args:
        config: the memory's definition.
        banks: the range owned; `range(config.num_banks)` for a memory in one process.
        tokenizer_hash: what batches must carry; "" takes any.
        buffer: how many associations to collect before they are merged.
        max_associations: refuse to hold more (the planned size); None for no limit.
        expected: associations to size the ledger's parts by.
        xp: numpy or cupy.
        scratch: directory for banks and ledger, to be visited in order; None keeps them in memory.
        device_room: bytes of a GPU that banks may take; more of them stay in host memory. None: what is free, less room
            to work in.
    """

    def __init__(
        self,
        config: MemoryConfig,
        banks: range,
        tokenizer_hash: str = "",
        buffer: int = DEFAULT_BUFFER,
        max_associations: int | None = None,
        expected: int = 0,
        xp: ModuleType = np,
        scratch: Path | None = None,
        device_room: float | None = None,
    ) -> None:
        self.config, self.banks = config, banks
        self.tokenizer_hash = tokenizer_hash
        self.applied: set[str] = set()
        self.registry = DocumentRegistry()
        self.low, self.high = (bank_edge(edge, config.num_banks) for edge in (banks.start, banks.stop))
        room = ShardRoom(
            buffer=buffer,
            max_associations=max_associations,
            expected=expected,
            xp=xp,
            scratch=scratch,
            device_room=device_room,
        )
        self.contents = model_of(config).contents(config, banks, room)

    def owns_document(self, key: int) -> bool:
        """Whether this shard keeps the record of the document with this key."""
        return self.low <= key < self.high

    def memorize_batch(self, table: pa.Table, sign: int = 1) -> Applied:
        """Take in a batch of the Arrow contract; one whose batch_id was applied before changes nothing.

        Args:
            sign: -1 forgets what the batch holds, also only once; that it was memorized is the caller's to know.

        Raises:
            TokenizerError: the batch was made with another tokenizer.
            InputError: the batch breaks the contract.
            BudgetError: the shard would hold more than was planned.
        """
        info = self._info(table)
        if info.batch_id in self.applied:
            return Applied(info.batch_id, False, 0, 0, 0, 0, 0)
        counts = self.add_segments(list(read_batch(table, self.config)), sign)
        self.applied.add(info.batch_id)
        return Applied(info.batch_id, True, *counts, info.skipped, info.replaced, info.empty)

    def forget_batch(self, table: pa.Table) -> Applied:
        """Take a batch out again, the inverse of `memorize_batch`.

        Raises:
            NotMemorizedError: its batch_id was not applied; nothing is changed.
            TokenizerError, InputError: as for `memorize_batch`.
        """
        info = self._info(table)
        if info.batch_id not in self.applied:
            raise NotMemorizedError(f"batch {info.source} ({info.batch_id}) was not memorized; nothing changed")
        counts = self.add_segments(list(read_batch(table, self.config)), sign=-1)
        self.applied.discard(info.batch_id)
        return Applied(info.batch_id, True, *counts, info.skipped, info.replaced, info.empty)

    def _info(self, table: pa.Table) -> BatchInfo:
        info = BatchInfo.of(table)
        if self.tokenizer_hash and info.tokenizer_hash != self.tokenizer_hash:
            raise TokenizerError(
                f"batch {info.source} was tokenized with {info.tokenizer_hash}; this memory has {self.tokenizer_hash}"
            )
        return info

    def add_segments(self, documents: list[tuple[str, Segment]], sign: int = 1) -> tuple[int, int]:
        """Memorize (sign = 1) or forget (sign = -1) segments; returns (tokens, documents begun) recorded here."""
        self.contents.add([segment for _, segment in documents], sign)
        tokens = begun = 0
        for name, segment in documents:
            key = document_key(name)
            if self.owns_document(key):
                record = record_of(key, segment, self.config.end_of_document)
                self.registry.add(key, record, sign)
                tokens, begun = tokens + record.tokens, begun + record.begun
        return tokens, begun

    def flush(self) -> None:
        """Do what was deferred."""
        self.contents.flush()

    def merge(self, other: "Shard") -> None:
        """Add everything another shard holds; its banks must lie within this one's."""
        self.contents.merge(other.contents)
        for key, record in other.registry.items():
            self.registry.add(key, record)
        self.applied |= other.applied

    def absorb(self, entries: Entries) -> None:
        """Add what of another memory's ledger falls to these banks, whatever its number of banks; sorted by name."""
        self.contents.absorb(entries.slice(*_bounds(entries.names, self.low, self.high)))

    @property
    def num_associations(self) -> int:
        """See Contents."""
        return self.contents.num_associations

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer what `contents.portion` chose for this shard, (m, d)."""
        return self.contents.retrieve(part)

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 2, 16) uint8: BLAKE2b of each bank's cells and of its ledger entries, both little-endian."""
        return self.contents.bank_digests()


def _bounds(names: np.ndarray, low: int, high: int) -> tuple[int, int]:
    """Where names from `low` to below `high` lie in a sorted array."""
    first = int(np.searchsorted(names, np.uint64(low)))
    return first, len(names) if high >= 2**64 else int(np.searchsorted(names, np.uint64(high)))


def memory_digest(config: MemoryConfig, tokenizer_hash: str, bank_digests: np.ndarray) -> str:
    """The digest of a whole memory, from its banks' digests in bank order, (G, 2, 16) uint8.

    It covers config, tokenizer, every cell and every ledger entry, and nothing of how they were made.
    """
    state = hashlib.blake2b(digest_size=16)
    state.update(config.fingerprint.encode() + tokenizer_hash.encode())
    state.update(np.ascontiguousarray(bank_digests).data)
    return state.hexdigest()
