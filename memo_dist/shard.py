"""Shard: a contiguous range of banks with everything that belongs to them. The unit that an actor owns.

Covers: taking in batches exactly once and taking them out again, documents' records, retrieval, digests. Does not
cover: matrices (models), files (files/), Ray (cluster/actor.py), several shards together (memory.py, cluster).

State is a function of the set of batches, not of their order (for the preset paper, within float32 rounding).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import numbers_of
from memo_dist.batches import BatchInfo, KeptChange, read_batch
from memo_dist.document_parts import DocumentPart, document_key, parts_of
from memo_dist.documents import LOW, DocumentRegistry, numbers
from memo_dist.errors import ConfigError, NotMemorizedError, TokenizerError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.contents import LedgerContents
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.followers import Followers
from memo_dist.segments import Segment
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True)
class Applied:
    """What a batch added to one shard, or took away.

    A batch goes to every shard. Each counts the documents whose records it keeps, so whoever asks several shards sums
    `tokens` and `documents` over them; the rest says the same in every shard's answer and is taken from one.

    Attributes:
        fresh: False for a repeat, which changed nothing.
        tokens, documents: recorded here; documents counts those that begin in the batch.
        skipped, replaced, empty: of the batch, see BatchInfo; 0 for a repeat.
        kept: the batch's file, if it is kept.
    """

    batch_id: str
    fresh: bool
    tokens: int
    documents: int
    skipped: int
    replaced: int
    empty: int
    kept: KeptChange | None = None


class Shard:
    """Banks `banks` of a memory.

    Args:
        config: the memory's definition.
        banks: the range owned; `range(config.num_banks)` for a memory in one process.
        tokenizer: of the memory, with which batches must be made; None takes any.
        room: what the shard may take, and where it keeps its contents.
    """

    def __init__(
        self,
        config: MemoryConfig,
        banks: range,
        *,
        tokenizer: Tokenizer | None = None,
        room: ShardRoom | None = None,
    ) -> None:
        self.config, self.banks = config, banks
        self.tokenizer = tokenizer
        self.applied: set[str] = set()
        self.registry = DocumentRegistry()
        self.low, self.high = bank_edge(banks.start, config.num_banks), bank_edge(banks.stop, config.num_banks)
        self.contents = model_of(config).contents(config, banks, room or ShardRoom(), tokenizer=tokenizer)

    @property
    def tokenizer_hash(self) -> str:
        """What batches must carry; "" for any."""
        return self.tokenizer.hash if self.tokenizer else ""

    def owns_document(self, key: int) -> bool:
        """Whether this shard keeps the record of the document with this key."""
        return self.low <= key < self.high

    def memorize_batch(self, table: pa.Table) -> Applied:
        """Take in a batch of the Arrow contract; one whose batch_id was applied before changes nothing.

        Raises:
            TokenizerError: the batch was made with another tokenizer.
            InputError: the batch breaks the contract.
        """
        info, kept = self._info(table), KeptChange.of(table)
        if info.batch_id in self.applied:
            return self._answer(info, fresh=False, kept=kept)
        tokens, begun = self.memorize_segments(list(read_batch(table, self.config)))
        self.applied.add(info.batch_id)
        return self._answer(info, fresh=True, tokens=tokens, documents=begun, kept=kept)

    def forget_contents_of(self, table: pa.Table) -> Applied:
        """Forget what a batch holds, in whatever batches it was memorized; that it was is the caller's to know.

        The batch has an id of its own, which becomes applied: one that was applied before changes nothing.

        Raises:
            TokenizerError, InputError: as for `memorize_batch`.
        """
        info, kept = self._info(table), KeptChange.of(table)
        if info.batch_id in self.applied:
            return self._answer(info, fresh=False, kept=kept)
        tokens, begun = self.forget_segments(list(read_batch(table, self.config)))
        self.applied.add(info.batch_id)
        return self._answer(info, fresh=True, tokens=tokens, documents=begun, kept=kept)

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
    def _answer(
        info: BatchInfo, *, fresh: bool, tokens: int = 0, documents: int = 0, kept: KeptChange | None = None
    ) -> Applied:
        return Applied(
            batch_id=info.batch_id,
            fresh=fresh,
            tokens=tokens,
            documents=documents,
            skipped=info.skipped if fresh else 0,
            replaced=info.replaced if fresh else 0,
            empty=info.empty if fresh else 0,
            kept=kept,
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
        self.contents.memorize(owned(documents))
        return self._record(documents, self.registry.add)

    def forget_segments(self, documents: list[tuple[str, Segment]]) -> tuple[int, int]:
        """Forget (document id, segment) pairs that were memorized; returns (tokens, documents begun) recorded here."""
        self.contents.forget(owned(documents))
        return self._record(documents, self.registry.subtract)

    def _record(
        self, documents: list[tuple[str, Segment]], change: Callable[[int, DocumentPart], None]
    ) -> tuple[int, int]:
        mine = [(name, segment) for name, segment in documents if self.owns_document(document_key(name))]
        keys = [document_key(name) for name, _ in mine]
        tokens = begun = 0
        for key, part in zip(keys, parts_of(mine, keys), strict=True):
            change(key, part)
            tokens, begun = tokens + part.tokens, begun + (part.start == 0)
        return tokens, begun

    def add_documents(self, table: pa.Table) -> None:
        """Record what this shard keeps of a table of records (documents.SCHEMA)."""
        keys = numbers(table, "key")
        mine = (keys >= np.uint64(self.low)) & (keys <= np.uint64(self.high - 1))
        self.registry.add_table(table.filter(numbers_of(mine)))

    def flush(self) -> None:
        """Do what was deferred."""
        if self.contents.with_ledger is not None:
            self.contents.with_ledger.flush()

    def merge(self, other: "Shard") -> None:
        """Add everything another shard holds; its banks must lie within this one's."""
        self.contents.merge(other.contents)
        self.registry.add_table(other.registry.table())
        self.applied |= other.applied

    def _with_ledger(self, what: str) -> LedgerContents:
        contents = self.contents.with_ledger
        if contents is None:
            raise ConfigError(f"a memory of the preset {self.config.preset!r} keeps no ledger and cannot be {what}")
        return contents

    @property
    def num_associations(self) -> int:
        """See Contents."""
        return self.contents.num_associations

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents (low halves of keys) that each of (m,) window hashes of these banks is an anchor of.

        Raises:
            ConfigError: the memory's model keeps no ledger.
        """
        return self._with_ledger("asked for documents").documents_at(hashes)

    def token_counts(self) -> np.ndarray | None:
        """See Contents."""
        return self.contents.token_counts()

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer what `Model.portion` chose for this shard, (m, d)."""
        return self.contents.retrieve(part)

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes of these banks, by the ledger.

        Raises:
            ConfigError: the memory's model keeps no ledger.
        """
        return self._with_ledger("read exactly").followers(hashes)

    def bank_digests(self) -> np.ndarray:
        """See Contents."""
        return self.contents.bank_digests()


def owned(documents: list[tuple[str, Segment]]) -> list[Segment]:
    """The segments of (document id, segment) pairs, knowing their documents."""
    return [replace(segment, owner=document_key(name) & LOW) for name, segment in documents]


def memory_digest(config: MemoryConfig, tokenizer_hash: str, bank_digests: np.ndarray) -> str:
    """The digest of a whole memory, from its banks' digests in bank order, (G, k, 16) uint8.

    It covers config, tokenizer, every cell and every ledger entry, and nothing of how they were made.
    """
    state = hashlib.blake2b(digest_size=16)
    state.update(config.fingerprint.encode() + tokenizer_hash.encode())
    state.update(np.ascontiguousarray(bank_digests).data)
    return state.hexdigest()
