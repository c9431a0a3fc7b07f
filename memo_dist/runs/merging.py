"""Merging: sorted runs and ledgers -> the final file of a range of banks, slice by slice.

Covers: sources, their sum, filling banks, writing the file. Does not cover: runs (run_folder.py), where merges run
(cluster).

A slice is some banks: their names are one range, so the rows of a slice are a stretch of every source. They are added
up, and what is left is final: each bank is filled once, from its rows, and written. Memory is that of a slice. Because
the file says first how many rows there are, sources are read twice where a file has more than a few slices.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Protocol

import numpy as np
import pyarrow as pa

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.documents import SCHEMA, folded_table
from memo_dist.errors import StoppedError
from memo_dist.files.manifest import ShardRecord
from memo_dist.files.opened import OpenMemory
from memo_dist.files.shard_writer import ShardWriter
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.ledger import Entries, summed
from memo_dist.planning.processes import KEPT, MAX_SLICE, SLICE_CELLS

_FEW_DOCUMENTS = 1 << 16  # records folded at a time


class Source(Protocol):
    """What is added up."""

    def next(self, low: int, high: int) -> list[Entries]:
        """(window, next token) pairs whose names lie in [low, high); each sorted, counts int64 and signed."""
        ...

    def anchors(self, low: int, high: int) -> list[Entries]:
        """(window, document) pairs, likewise."""
        ...

    def documents(self, low: int, high: int) -> Iterable[pa.Table]:
        """Records of documents, of documents.SCHEMA, whose keys lie in [low, high)."""
        ...


class HeldSource:
    """A memory as a source: its ledger is a run.

    Args:
        memory: with a ledger; of any number of banks.
    """

    def __init__(self, memory: OpenMemory) -> None:
        self._shards = memory.require_working()

    def next(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [_signed(entries) for entries, _ in self._shards.entries_between(low, high)]

    def anchors(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [_signed(anchors) for _, anchors in self._shards.entries_between(low, high)]

    def documents(self, low: int, high: int) -> Iterable[pa.Table]:
        """See Source."""
        return self._shards.documents_between(low, high)


def count_rows(sources: list[Source], low: int, high: int) -> int:
    """How many distinct (window, next token) pairs the sources hold in [low, high).

    Raises:
        NotMemorizedError, CountOverflowError: see `summed`.
    """
    return len(summed([part for source in sources for part in source.next(low, high)]))


@dataclass(frozen=True, kw_only=True)
class MergeOrder:
    """What a merge makes.

    Attributes:
        config, tokenizer_hash: of the memory.
        banks: the file's.
        rows: of all sources together in these banks, about: what decides how many banks are a slice.
        slice_rows: the most of them in a slice.
        xp: numpy or cupy: where banks are filled.
        ended: once it is set, the merge ends before its next slice.
    """

    config: TextConfig
    tokenizer_hash: str
    banks: range
    rows: int
    slice_rows: int = MAX_SLICE
    xp: ModuleType = np
    ended: Event = field(default_factory=Event)


def merge_into(
    path: Path, sources: list[Source], order: MergeOrder, *, applied: set[str]
) -> tuple[ShardRecord, np.ndarray]:
    """Write the file of a range of banks; its record and its bank digests.

    Args:
        applied: ids of all batches that the memory holds then.

    Raises:
        NotMemorizedError: something is taken out that is not held. CountOverflowError: see `summed`.
        DamagedMemoryError: a source cannot be read. StorageError: the file cannot be written; nothing is left behind.
        StoppedError: the order was ended; nothing is left behind.
    """
    parts = slices(order)
    merged = [_merged(sources, part, order) for part in parts] if order.rows <= order.slice_rows * KEPT else None
    sizes = [(len(a), len(b)) for a, b in merged or (_merged(sources, part, order) for part in parts)]
    rows, anchors = sum(a for a, _ in sizes), sum(b for _, b in sizes)
    values = value_words(order.config.vocab_size, order.config.inner_dim, order.config.seed, xp=order.xp)
    with ShardWriter(path, order.config, order.tokenizer_hash, banks=order.banks, rows=rows, anchors=anchors) as writer:
        for index, banks in enumerate(parts):
            following, held = merged[index] if merged else _merged(sources, banks, order)
            cells = _cells(following, banks, order, values=values)
            writer.put(banks, cells, following=following, anchors=held)
        documents = documents_of(sources, edges(order.banks, order.config))
        return writer.finish(documents, applied, associations=rows)


def slices(order: MergeOrder) -> list[range]:
    """The banks in slices."""
    of_a_bank = max(1, order.rows // len(order.banks))
    step = max(1, min(order.slice_rows // of_a_bank, order.slice_rows * SLICE_CELLS // order.config.bank_bytes))
    return [order.banks[first : first + step] for first in range(0, len(order.banks), step)]


def _merged(sources: list[Source], banks: range, order: MergeOrder) -> tuple[Entries, Entries]:
    if order.ended.is_set():
        raise StoppedError("the merge was ended before its file was whole")
    low, high = edges(banks, order.config)
    following = summed([part for source in sources for part in source.next(low, high)])
    return following, summed([part for source in sources for part in source.anchors(low, high)])


def edges(banks: range, config: TextConfig) -> tuple[int, int]:
    """The smallest name of banks, and the smallest beyond them."""
    return bank_edge(banks.start, config.num_banks), bank_edge(banks.stop, config.num_banks)


def _cells(following: Entries, banks: range, order: MergeOrder, *, values: Array) -> np.ndarray:
    """The banks that hold some associations, (len(banks), d, d)."""
    matrices = BankRange(order.config, banks, values, xp=order.xp)
    arrays = to_device(following.names, order.xp), to_device(following.tokens, order.xp)
    matrices.memorize(Associations(*arrays))
    return to_host(matrices.cells)


def documents_of(sources: list[Source], between: tuple[int, int]) -> pa.Table:
    """The records whose keys lie in a range, folded and sorted."""
    table = pa.Table.from_batches([], schema=SCHEMA)
    waiting: list[pa.Table] = []
    for source in sources:
        for records in source.documents(*between):
            waiting.append(records)
            if sum(map(len, waiting)) >= max(_FEW_DOCUMENTS, len(table)):
                table, waiting = folded_table(pa.concat_tables([table, *waiting])), []
    return folded_table(pa.concat_tables([table, *waiting]))


def _signed(entries: Entries) -> Entries:
    return replace(entries, counts=entries.counts.astype(np.int64))
