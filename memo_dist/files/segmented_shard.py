"""SegmentedShard: a shard file read together with what segments say of its banks, as one.

Covers: reading, checking, opening all files of a memory. Does not cover: one file (shard_reader.py, segment_reader.py),
all files of a memory as one (working.py).

    ledger entries    those of the file, plus the counts of every segment
    cells             those of the file, plus the products of associations that came, less those that went
    documents         their records added up
The digests of the newest segment are those of the banks as they are then, so cells that are read are known to be right
whatever they were made of.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from memo_dist.digests import array_digest
from memo_dist.errors import CountOverflowError, DamagedMemoryError, NotMemorizedError
from memo_dist.files.manifest import Manifest, ShardRecord
from memo_dist.files.segment_reader import SegmentReader
from memo_dist.files.segmented_documents import SegmentedDocuments
from memo_dist.files.shard_reader import ShardReader
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.deltas import Deltas
from memo_dist.models.text.ledger import Entries, net, summed
from memo_dist.shard import Shard


class SegmentedShard(ShardReader):
    """Reads one shard file with its segments; see ShardReader.

    Args:
        segments: their files of the same banks, oldest first; one at least.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(
        self,
        path: Path,
        record: ShardRecord,
        config: MemoryConfig,
        *,
        tokenizer_hash: str,
        segments: Sequence[SegmentReader],
    ) -> None:
        super().__init__(path, record, config, tokenizer_hash=tokenizer_hash)
        self._segments = segments
        self._first = self.digests  # of the banks without any segment
        self.digests = segments[-1].digests

    @property
    def associations(self) -> int:
        """Distinct ones, of all its banks."""
        return self._segments[-1].record.associations

    def close(self) -> None:
        """Let go of the files."""
        super().close()
        for segment in self._segments:
            segment.close()

    def cells(self, bank: int) -> np.ndarray:
        """One bank, config.bank_shape, checked."""
        row = bank - self.banks.start
        cells = self._cells.read(row)
        if not np.array_equal(self._first[row, 0], self.digests[row, 0]):
            cells = cells + self._products(range(bank, bank + 1))[0]
        if not np.array_equal(array_digest(cells), self.digests[row, 0]):
            raise DamagedMemoryError(
                f"{self.path}: bank {bank} does not match its digest, with its segments; restore the files"
            )
        return cells

    def _products(self, banks: range) -> np.ndarray:
        """What segments add to the cells of banks: of all flips together."""
        flips = []
        for segment in self._segments:
            deltas = segment.following(banks)
            flips.append(Entries(deltas.entries.names, deltas.entries.tokens, deltas.flips.astype(np.int64)))
        total = net(flips)
        matrices = BankRange(self.config, banks, self._values)
        for sign, change in ((1, matrices.memorize), (-1, matrices.forget)):
            rows = total.counts == sign
            change(Associations(total.names[rows], total.tokens[rows]))
        return np.asarray(matrices.cells)

    @cached_property
    def _values(self) -> np.ndarray:
        config = self.config
        return np.asarray(value_words(config.vocab_size, config.inner_dim, config.seed))

    def entries(self, banks: range) -> Entries:
        """The ledger of some of its banks, checked."""
        return self._with(super().entries(banks), [segment.following(banks) for segment in self._segments])

    def anchors(self, banks: range) -> Entries:
        """The anchors of some of its banks, checked."""
        return self._with(super().anchors(banks), [segment.anchoring(banks) for segment in self._segments])

    def bank_entries(self, bank: int) -> Entries:
        """The ledger of one bank; the file's part is checked when it is first asked."""
        banks = range(bank, bank + 1)
        return self._with(super().bank_entries(bank), [segment.following(banks) for segment in self._segments])

    def bank_anchors(self, bank: int) -> Entries:
        """The anchors of one bank; the file's part is checked when it is first asked."""
        banks = range(bank, bank + 1)
        return self._with(super().bank_anchors(bank), [segment.anchoring(banks) for segment in self._segments])

    def _with(self, held: Entries, changes: Iterable[Deltas]) -> Entries:
        found = [deltas.entries for deltas in changes if len(deltas)]
        if not found:
            return held
        with self._naming():
            return summed([Entries(held.names, held.tokens, held.counts.astype(np.int64)), *found])

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Sums that no ledger can have, said of the files."""
        try:
            yield
        except (NotMemorizedError, CountOverflowError) as error:
            raise DamagedMemoryError(
                f"{self.path} and its segments do not go together ({error}); restore the files"
            ) from error

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, how many of the ledger's associations have each token; those of the file are checked."""
        counts = super().token_counts()
        if counts is None:
            return None
        total = counts.astype(np.int64)
        for group in self.groups(self.banks):
            for segment in self._segments:
                deltas = segment.following(group)
                for sign in (1, -1):
                    total += sign * np.bincount(deltas.flipped(sign).tokens, minlength=len(total))
        if (total < 0).any():
            raise DamagedMemoryError(f"{self.path} and its segments do not go together; restore the files")
        return total.astype(np.uint64)

    @cached_property
    def documents(self) -> SegmentedDocuments:
        """The records of this shard's documents."""
        first = super().documents
        changes = [segment.documents for segment in self._segments]
        return SegmentedDocuments(first.path, first.record, changes)

    def applied(self) -> set[str]:
        """Ids of the batches that are in this shard's matrices."""
        return super().applied().union(*(segment.applied() for segment in self._segments))

    def verify(self) -> None:
        """Check the files against the manifest, and every bank, with its segments, against its digests."""
        for segment in self._segments:
            segment.verify()
        super().verify()
        for group in self.groups(self.banks):
            for kind, entries in ((1, self.entries(group)), (2, self.anchors(group))):
                for bank in group:
                    self._require_digest(bank, kind, entries.within(*self._edges(bank)))

    def _require_digest(self, bank: int, kind: int, entries: Entries) -> None:
        found = array_digest(entries.names, entries.tokens, entries.counts)
        if not np.array_equal(found, self.digests[bank - self.banks.start, kind]):
            raise DamagedMemoryError(
                f"{self.path}: the ledger of bank {bank} does not match its digest, with its segments; restore the "
                "files"
            )

    def _edges(self, bank: int) -> tuple[int, int]:
        """The smallest name of a bank, and of the next."""
        return bank_edge(bank, self.config.num_banks), bank_edge(bank + 1, self.config.num_banks)

    def load_into(self, shard: Shard) -> None:
        """Fill what `shard` owns of these banks; see ShardReader."""
        mine = False
        for group in self.groups(shard.banks):
            held = self.entries(group)
            lowest = np.array([bank_edge(bank, self.config.num_banks) for bank in group], np.uint64)
            bounds = [*np.searchsorted(held.names, lowest).tolist(), len(held)]
            cells = (self.cells(bank) for bank in group)
            shard.contents.restore(group, cells=cells, held=held, bounds=bounds, associations=self.associations)
            if shard.contents.with_ledger is not None:
                shard.contents.with_ledger.absorb_anchors(self.anchors(group))
            mine = True
        if mine:
            self._records_into(shard)


def shard_readers(directory: Path, manifest: Manifest, *, newest: Path | None = None) -> list[ShardReader]:
    """The shard files of a memory, opened with their segments.

    Args:
        newest: where the files of the newest segment are, before they are in the directory.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named.
    """
    places = [directory] * len(manifest.segments)
    if newest is not None:
        places[-1:] = [newest]
    return [
        _together(directory, manifest, index, segments=_segments(places, manifest, index))
        for index in range(len(manifest.shards))
    ]


def segment_files(directory: Path, manifest: Manifest, banks: range, *, stay: int) -> list[ShardReader]:
    """The shard file of some banks, opened with the segments that stay, and the files of later ones, by themselves.

    Args:
        banks: of a shard file. stay: how many segments, the oldest first.

    Raises:
        DamagedMemoryError: see shard_readers.
    """
    index = next(at for at, record in enumerate(manifest.shards) if record.first_bank == banks.start)
    segments = _segments([directory] * len(manifest.segments), manifest, index)
    return [_together(directory, manifest, index, segments=segments[:stay]), *segments[stay:]]


def _segments(places: list[Path], manifest: Manifest, index: int) -> list[SegmentReader]:
    records = [segment.files[index] for segment in manifest.segments]
    return [
        SegmentReader(place / record.file, record, manifest.config, tokenizer_hash=manifest.tokenizer_hash)
        for place, record in zip(places, records, strict=True)
    ]


def _together(directory: Path, manifest: Manifest, index: int, *, segments: list[SegmentReader]) -> ShardReader:
    record, config, hash_ = manifest.shards[index], manifest.config, manifest.tokenizer_hash
    path = directory / record.file
    if not segments:
        return ShardReader(path, record, config, tokenizer_hash=hash_)
    return SegmentedShard(path, record, config, tokenizer_hash=hash_, segments=segments)
