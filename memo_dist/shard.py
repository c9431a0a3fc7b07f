"""Shard: a contiguous range of banks with everything that belongs to them. The unit that an actor owns.

Covers: taking in batches exactly once, buffering, keeping ledger and matrices in step, retrieval, digests.
Does not cover: files (storage.py), Ray (cluster/actor.py), several shards together (memory.py, cluster).

Associations are buffered, sorted once the buffer is full, merged into the ledger, and only those that became held (or
ceased to be) reach the matrices, in bank order. State is a function of the set of batches, not of their order.
"""

import hashlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pyarrow as pa

from memo_dist.associations import Associations, bank_edge, bank_of
from memo_dist.backend import Array, to_device, to_host
from memo_dist.batches import BatchInfo, read_batch
from memo_dist.cmm import BankRange
from memo_dist.codes import value_words
from memo_dist.config import MemoryConfig
from memo_dist.documents import DocumentRegistry, document_key, record_of
from memo_dist.encoding.hashed import HashedEncoder, Segment
from memo_dist.errors import BudgetError, TokenizerError
from memo_dist.ledger import Entries, Ledger

PART_ENTRIES = 1 << 19  # associations of a ledger part: what one merge step holds twice
DEFAULT_BUFFER = 1 << 21


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
    ) -> None:
        self.config, self.banks, self.xp = config, banks, xp
        self.tokenizer_hash = tokenizer_hash
        self.applied: set[str] = set()
        self.registry = DocumentRegistry()
        self.encoder = HashedEncoder(config, xp)
        values = value_words(config.vocab_size, config.inner_dim, config.seed, xp)
        self.matrices = BankRange(config, banks, values, xp)
        self.low, self.high = (bank_edge(edge, config.num_banks) for edge in (banks.start, banks.stop))
        self.ledger = Ledger(self.low, self.high, parts=1 + expected // PART_ENTRIES, xp=xp)
        self._buffer, self._max = buffer, max_associations
        self._pending: dict[int, list[Associations]] = {1: [], -1: []}
        self._waiting = 0

    def owns_document(self, key: int) -> bool:
        """Whether this shard keeps the record of the document with this key."""
        return self.low <= key < self.high

    def memorize_batch(self, table: pa.Table) -> Applied:
        """Take in a batch of the Arrow contract; one whose batch_id was applied before changes nothing.

        Raises:
            TokenizerError: the batch was made with another tokenizer.
            InputError: the batch breaks the contract.
            BudgetError: the shard would hold more than was planned.
        """
        info = BatchInfo.of(table)
        if self.tokenizer_hash and info.tokenizer_hash != self.tokenizer_hash:
            raise TokenizerError(
                f"batch {info.source} was tokenized with {info.tokenizer_hash}; this memory has {self.tokenizer_hash}"
            )
        if info.batch_id in self.applied:
            return Applied(info.batch_id, False, 0, 0, 0, 0, 0)
        documents = list(read_batch(table, self.config))
        counts = self.add_segments(documents)
        self.applied.add(info.batch_id)
        return Applied(info.batch_id, True, *counts, info.skipped, info.replaced, info.empty)

    def add_segments(self, documents: list[tuple[str, Segment]], sign: int = 1) -> tuple[int, int]:
        """Memorize (sign = 1) or forget (sign = -1) segments; returns (tokens, documents begun) recorded here."""
        found = self.encoder.associations([segment for _, segment in documents], self.banks)
        tokens = begun = 0
        for name, segment in documents:
            key = document_key(name)
            if self.owns_document(key):
                record = record_of(key, segment, self.config.end_of_document)
                self.registry.add(key, record, sign)
                tokens, begun = tokens + record.tokens, begun + record.begun
        self._pending[sign].append(found)
        self._waiting += len(found)
        if self._waiting >= self._buffer:
            self.flush()
        return tokens, begun

    def flush(self) -> None:
        """Merge what is buffered into the ledger and apply the difference to the matrices.

        What is to be memorized goes first, so a forget of the same buffer finds it.
        """
        xp = self.xp
        for sign, waiting in self._pending.items():
            if not waiting:
                continue
            names = xp.concatenate([w.names for w in waiting])
            tokens = xp.concatenate([w.tokens for w in waiting])
            waiting.clear()
            for change in self.ledger.merge(Associations(names, tokens), weight=sign):
                self.matrices.memorize(change.added)
                self.matrices.forget(change.removed)
        self._waiting = 0
        if self._max is not None and len(self.ledger) > self._max:
            raise BudgetError(
                f"banks {self.banks.start}-{self.banks.stop - 1} hold {len(self.ledger):,} associations, more than the "
                f"{self._max:,} planned from a sample of the corpus; give --memory-budget more room or --banks"
            )

    def merge(self, other: "Shard") -> None:
        """Add everything another shard holds; its banks must lie within this one's.

        Only associations that are new here reach the matrices: adding cells would count shared ones twice.
        """
        self.flush()
        other.flush()
        for part in other.ledger.parts():
            for change in self.ledger.merge_entries(_as_news(part)):
                self.matrices.memorize(change.added)
        for key, record in other.registry.items():
            self.registry.add(key, record)
        self.applied |= other.applied

    @property
    def num_associations(self) -> int:
        self.flush()
        return len(self.ledger)

    def retrieve(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Answer the windows whose bank is owned: (rows, vectors), (m,) int64 and (m, d) int32."""
        self.flush()
        bank = bank_of(hashes, self.config.num_banks)
        rows = np.flatnonzero((bank >= self.banks.start) & (bank < self.banks.stop))
        vectors = self.matrices.retrieve(to_device(hashes[rows], self.xp))
        return rows, to_host(vectors)

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 2, 16) uint8: BLAKE2b of each bank's cells and of its ledger entries, both little-endian."""
        self.flush()
        digests = np.empty((len(self.banks), 2, 16), np.uint8)
        for row, bank in enumerate(self.banks):
            low, high = (bank_edge(edge, self.config.num_banks) for edge in (bank, bank + 1))
            held = self.ledger.between(low, high)
            digests[row, 0] = array_digest(self.matrices.cells[row])
            digests[row, 1] = array_digest(held.names, held.tokens, held.counts)
        return digests


def _as_news(entries: Entries) -> Entries:
    return Entries(entries.names, entries.tokens, entries.counts.astype(np.int64))


def array_digest(*arrays: Array) -> np.ndarray:
    """BLAKE2b-128 of the arrays' bytes, (16,) uint8."""
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        host = np.ascontiguousarray(to_host(array))
        state.update(host.view(np.uint8).data if host.size else b"")
    return np.frombuffer(state.digest(), np.uint8)


def memory_digest(config: MemoryConfig, tokenizer_hash: str, bank_digests: np.ndarray) -> str:
    """The digest of a whole memory, from its banks' digests in bank order, (G, 2, 16) uint8.

    It covers config, tokenizer, every cell and every ledger entry, and nothing of how they were made.
    """
    state = hashlib.blake2b(digest_size=16)
    state.update(config.fingerprint.encode() + tokenizer_hash.encode())
    state.update(np.ascontiguousarray(bank_digests).data)
    return state.hexdigest()
