"""Shard: a contiguous range of banks with everything that belongs to them. The unit that an actor owns.

Covers: taking in batches exactly once and taking them out again, documents' records, retrieval, digests. Does not
cover: matrices (models), files (files/), Ray (cluster/actor.py), several shards together (memory.py, cluster).

State is a function of the set of batches, not of their order (for the preset paper, within float32 rounding).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, read_batch
from memo_dist.documents import DocumentRecord, DocumentRegistry, document_key, record_of
from memo_dist.errors import ConfigError, NotMemorizedError, TokenizerError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


@dataclass(frozen=True)
class Applied:
    """What a batch added to one shard, or took away.

    A batch goes to every shard. Each counts the documents whose records it keeps, so whoever asks several shards sums
    `tokens` and `documents` over them; the rest says the same in every shard's answer and is taken from one.

    Attributes:
        fresh: False for a repeat, which changed nothing.
        tokens, documents: recorded here; documents counts those that begin in the batch.
        skipped, replaced, empty: of the batch, see BatchInfo; 0 for a repeat.
    """

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
        room: what the shard may take, and where it keeps its contents.
    """

    def __init__(
        self, config: MemoryConfig, banks: range, *, tokenizer_hash: str = "", room: ShardRoom | None = None
    ) -> None:
        self.config, self.banks = config, banks
        self.tokenizer_hash = tokenizer_hash
        self.applied: set[str] = set()
        self.registry = DocumentRegistry()
        self.low, self.high = bank_edge(banks.start, config.num_banks), bank_edge(banks.stop, config.num_banks)
        self.contents = model_of(config).contents(config, banks, room or ShardRoom())

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
        info = self._info(table)
        if info.batch_id in self.applied:
            return self._answer(info, fresh=False)
        tokens, begun = self.memorize_segments(list(read_batch(table, self.config)))
        self.applied.add(info.batch_id)
        return self._answer(info, fresh=True, tokens=tokens, documents=begun)

    def forget_contents_of(self, table: pa.Table) -> Applied:
        """Forget what a batch holds, in whatever batches it was memorized; that it was is the caller's to know.

        The batch has an id of its own, which becomes applied: one that was applied before changes nothing.

        Raises:
            TokenizerError, InputError: as for `memorize_batch`.
        """
        info = self._info(table)
        if info.batch_id in self.applied:
            return self._answer(info, fresh=False)
        tokens, begun = self.forget_segments(list(read_batch(table, self.config)))
        self.applied.add(info.batch_id)
        return self._answer(info, fresh=True, tokens=tokens, documents=begun)

    def forget_batch(self, table: pa.Table) -> Applied:
        """Take a memorized batch out again, the inverse of `memorize_batch`: its id is no longer applied.

        Raises:
            NotMemorizedError: its batch_id was not applied; nothing is changed.
            TokenizerError, InputError: as for `memorize_batch`.
        """
        info = self._info(table)
        if info.batch_id not in self.applied:
            raise NotMemorizedError(f"batch {info.source} ({info.batch_id}) was not memorized; nothing changed")
        tokens, begun = self.forget_segments(list(read_batch(table, self.config)))
        self.applied.discard(info.batch_id)
        return self._answer(info, fresh=True, tokens=tokens, documents=begun)

    @staticmethod
    def _answer(info: BatchInfo, *, fresh: bool, tokens: int = 0, documents: int = 0) -> Applied:
        return Applied(
            batch_id=info.batch_id,
            fresh=fresh,
            tokens=tokens,
            documents=documents,
            skipped=info.skipped if fresh else 0,
            replaced=info.replaced if fresh else 0,
            empty=info.empty if fresh else 0,
        )

    def _info(self, table: pa.Table) -> BatchInfo:
        info = BatchInfo.of(table)
        if self.tokenizer_hash and info.tokenizer_hash != self.tokenizer_hash:
            raise TokenizerError(
                f"batch {info.source} was tokenized with {info.tokenizer_hash}; this memory has {self.tokenizer_hash}"
            )
        return info

    def memorize_segments(self, documents: list[tuple[str, Segment]]) -> tuple[int, int]:
        """Memorize (document id, segment) pairs; returns (tokens, documents begun) recorded here."""
        self.contents.memorize([segment for _, segment in documents])
        return self._record(documents, self.registry.add)

    def forget_segments(self, documents: list[tuple[str, Segment]]) -> tuple[int, int]:
        """Forget (document id, segment) pairs that were memorized; returns (tokens, documents begun) recorded here."""
        self.contents.forget([segment for _, segment in documents])
        return self._record(documents, self.registry.subtract)

    def _record(
        self, documents: list[tuple[str, Segment]], change: Callable[[int, DocumentRecord], None]
    ) -> tuple[int, int]:
        tokens = begun = 0
        for name, segment in documents:
            key = document_key(name)
            if self.owns_document(key):
                record = record_of(key, segment, self.config.end_of_document)
                change(key, record)
                tokens, begun = tokens + record.tokens, begun + record.begun
        return tokens, begun

    def flush(self) -> None:
        """Do what was deferred."""
        if self.contents.with_ledger is not None:
            self.contents.with_ledger.flush()

    def merge(self, other: "Shard") -> None:
        """Add everything another shard holds; its banks must lie within this one's."""
        self.contents.merge(other.contents)
        for key, record in other.registry.items():
            self.registry.add(key, record)
        self.applied |= other.applied

    def absorb(self, entries: Entries) -> None:
        """Add another memory's ledger entries, as far as their names belong to these banks.

        Args:
            entries: sorted by name; the other memory may have any number of banks.

        Raises:
            ConfigError: the memory's model keeps no ledger.
        """
        contents = self.contents.with_ledger
        if contents is None:
            raise ConfigError(
                f"a memory of the preset {self.config.preset!r} keeps no ledger; merge its matrices instead"
            )
        contents.absorb(entries.slice(*_bounds(entries.names, self.low, self.high)))

    @property
    def num_associations(self) -> int:
        """See Contents."""
        return self.contents.num_associations

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer what `Model.portion` chose for this shard, (m, d)."""
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
