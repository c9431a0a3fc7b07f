"""Segmenting: sorted runs -> the file of a segment for the banks of one shard file, written beside it.

Covers: what the runs change of what is held, the digests of banks after it, writing the file. Does not cover: runs
(run_folder.py), writing shard files anew (merging.py), where this runs (cluster).

What is held of a slice of banks is read, the runs' rows are added to it, and only what they change is written. Banks
that no run touches are not read: their digests stay. Each bank that is read is compared with its digest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import numbers_of
from memo_dist.digests import array_digest
from memo_dist.documents import numbers
from memo_dist.errors import StoppedError
from memo_dist.files.manifest import ShardRecord
from memo_dist.files.segment_reader import SegmentReader
from memo_dist.files.segment_writer import SegmentWriter
from memo_dist.files.shard_reader import ShardReader
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.deltas import Deltas, changed
from memo_dist.models.text.ledger import Entries, net
from memo_dist.runs.merging import MergeOrder, Source, documents_of, edges, slices

_BANKS = 64  # whose matrices are held at a time: 8 MiB at d=256


class SegmentSource:
    """An earlier segment's file as a source: its deltas count once more.

    Args:
        file: of the banks that are written.
    """

    def __init__(self, file: SegmentReader) -> None:
        self._file = file

    def next(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [self._file.following(self._banks(low, high)).entries.within(low, high)]

    def anchors(self, low: int, high: int) -> list[Entries]:
        """See Source."""
        return [self._file.anchoring(self._banks(low, high)).entries.within(low, high)]

    def documents(self, low: int, high: int) -> Iterator[pa.Table]:
        """See Source."""
        for records in self._file.documents.groups():
            keys = numbers(records, "key")
            yield records.filter(numbers_of((keys >= np.uint64(low)) & (keys <= np.uint64(high - 1))))

    def _banks(self, low: int, high: int) -> range:
        banks, here = self._file.config.num_banks, self._file.banks
        return range(max(here.start, (low >> 32) * banks >> 32), min(here.stop, -(-high * banks >> 64)))


@dataclass(frozen=True)
class _After:
    """Some banks after a change: what was changed, and their digests, (banks, 3, 16)."""

    following: Deltas
    anchors: Deltas
    digests: np.ndarray


def segment_into(
    path: Path, held: ShardReader, sources: list[Source], *, order: MergeOrder, applied: set[str]
) -> tuple[ShardRecord, np.ndarray]:
    """Write a segment's file; its record and the digests of the banks after it.

    Args:
        held: the shard file, with the segments that stay. sources: the changes, earlier ones that do not stay too.
        order: of the banks of `held`. applied: ids of the batches of the changes.

    Raises:
        NotMemorizedError: something is taken out that is not held. CountOverflowError: see `ledger.summed`.
        DamagedMemoryError: a file cannot be read. StorageError: the file cannot be written; nothing is left behind.
        StoppedError: the order was ended; nothing is left behind.
    """
    config, parts = order.config, slices(order)
    sizes = [tuple(map(len, _news(sources, banks, order))) for banks in parts]
    values = np.asarray(value_words(config.vocab_size, config.inner_dim, config.seed))
    digests, associations = held.digests.copy(), held.associations
    rows, anchors = (sum(size[kind] for size in sizes) for kind in (0, 1))
    hash_ = order.tokenizer_hash
    with SegmentWriter(path, config, hash_, banks=order.banks, rows=rows, anchors=anchors) as writer:
        for banks, size in zip(parts, sizes, strict=True):
            if not any(size):
                continue
            news = _news(sources, banks, order)
            for group in _touched(news, banks, config.num_banks):
                after = _changed(held, news, group, order=order, values=values)
                writer.put(after.following, after.anchors)
                digests[group.start - order.banks.start :][: len(group)] = after.digests
                associations += int(after.following.flips.sum(dtype=np.int64))
        documents = documents_of(sources, edges(order.banks, config))
        record = writer.finish(documents, applied, digests=digests, associations=associations)
    return record, digests


def _news(sources: list[Source], banks: range, order: MergeOrder) -> tuple[Entries, Entries]:
    """By how much counts of a slice change, of next tokens and of anchors."""
    if order.ended.is_set():
        raise StoppedError("the change was ended before its file was whole")
    low, high = edges(banks, order.config)
    following = net([part for source in sources for part in source.next(low, high)])
    return following, net([part for source in sources for part in source.anchors(low, high)])


def _touched(news: tuple[Entries, Entries], banks: range, num_banks: int) -> Iterator[range]:
    """The banks that change, in ranges without gaps."""
    touched = np.zeros(len(banks) + 1, bool)
    for kind in news:
        touched[bank_of(kind.names, num_banks).astype(np.int64) - banks.start] = True
    first = None
    for row, one in enumerate(touched.tolist()):
        if first is not None and (not one or row - first == _BANKS):
            yield banks[first:row]
            first = None
        if one and first is None:
            first = row


def _changed(
    held: ShardReader, news: tuple[Entries, Entries], banks: range, *, order: MergeOrder, values: np.ndarray
) -> _After:
    config = order.config
    following, anchors = (kind.within(*edges(banks, config)) for kind in news)
    entries, deltas = changed(held.entries(banks), following)
    anchored, anchor_deltas = changed(held.anchors(banks), anchors)
    matrices = BankRange(config, banks, values)
    matrices.memorize(deltas.flipped(1))
    matrices.forget(deltas.flipped(-1))
    products = np.asarray(matrices.cells)
    digests = np.empty((len(banks), 3, 16), np.uint8)
    for row, bank in enumerate(banks):
        here = bank_edge(bank, config.num_banks), bank_edge(bank + 1, config.num_banks)
        digests[row, 0] = array_digest(held.cells(bank) + products[row])
        for kind, all_of in ((1, entries), (2, anchored)):
            one = all_of.within(*here)
            digests[row, kind] = array_digest(one.names, one.tokens, one.counts)
    return _After(deltas, anchor_deltas, digests)
