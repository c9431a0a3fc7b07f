"""HeldRun: what a batch of a small change gives a memory, in memory.

Covers: making one of a batch, several as one source. Does not cover: runs in files (run_folder.py), which changes are
small (cluster/beside.py).

A change that is written beside a memory's files takes seconds, and its runs in files would be as large as what it
writes in the end; without files it writes half as much. What a stop loses is made again.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import numbers_of
from memo_dist.batches import read_batch
from memo_dist.documents import SCHEMA, numbers, table_of
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Entries, counted, net
from memo_dist.runs.run_folder import EVERY_BANK, RunRecord, facts_of, info_of, joined, signed_records
from memo_dist.shard import owned


@dataclass(frozen=True)
class HeldRows:
    """Changes in memory; a Source of merging.py.

    Attributes:
        following, anchored: (window, next token) and (window, document) pairs, sorted, with signed int64 counts.
        records: of documents, of documents.SCHEMA.
    """

    following: Entries
    anchored: Entries
    records: pa.Table

    def next(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [self.following.within(low, high)]

    def anchors(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [self.anchored.within(low, high)]

    def documents(self, low: int, high: int) -> list[pa.Table]:
        """See Source."""
        keys = numbers(self.records, "key")
        return [self.records.filter(numbers_of((keys >= np.uint64(low)) & (keys <= np.uint64(high - 1))))]


@dataclass(frozen=True, kw_only=True)
class HeldRun(RunRecord):
    """A run that is not in files: its record, and what it holds."""

    held: HeldRows


def held_run(batch: pa.Table, *, encoder: HashedEncoder, sign: int, tokenizer_hash: str) -> HeldRun:
    """The run of a batch.

    Args:
        encoder: of the memory. tokenizer_hash: what batches must carry; "" for any.

    Raises:
        TokenizerError: the batch was made with another tokenizer. InputError: it breaks the contract.
    """
    info = info_of(batch, tokenizer_hash)
    documents = list(read_batch(batch, encoder.config))
    kinds = list(encoder.kinds(owned(documents), EVERY_BANK))
    following = _signed(counted(joined([one for one, _ in kinds])), sign)
    anchored = _signed(counted(joined([one for _, one in kinds])), sign)
    records = signed_records(documents, sign)
    return HeldRun(
        **facts_of(batch, info, records, sign=sign),
        parts=0,
        rows=len(following),
        anchors=len(anchored),
        held=HeldRows(following, anchored, table_of(records)),
    )


def together(runs: list[HeldRun]) -> HeldRows:
    """Several runs as one: what comes and goes again is no change."""
    held = [run.held for run in runs]
    return HeldRows(
        net([one.following for one in held]),
        net([one.anchored for one in held]),
        pa.concat_tables([pa.Table.from_batches([], schema=SCHEMA), *(one.records for one in held)]),
    )


def _signed(entries: Entries, sign: int) -> Entries:
    return replace(entries, counts=entries.counts.astype(np.int64) * sign)
