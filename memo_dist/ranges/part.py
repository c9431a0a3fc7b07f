"""MemoryPart: some ranges of a memory, opened, as one bank server has them; questions of many rows -> arrays.

Covers: every question that a memory answers from its files, opening and closing ranges. Does not cover: putting the
answers of several parts together (memory.py), who asks (owners.py), Ray.

A question has a row for each window, or for each range, and says which range each row is for. What is asked of one part
at once is answered by one call. Ranges may be opened and closed while others are asked.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.checked import require_bytes
from memo_dist.files.extents import naming_damage
from memo_dist.files.kept_batches import KeptBatches, read_places
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import DEFAULT_CACHE
from memo_dist.files.published_reader import PublishedShards
from memo_dist.files.token_counts import total_counts
from memo_dist.files.working import WorkingShards
from memo_dist.models.text.followers import Followers, gathered
from memo_dist.ranges.plan import RangePlan
from memo_dist.ranges.rows import rows_of
from memo_dist.ranges.solved_range import SolvedRange

Banks = WorkingShards | PublishedShards
Opened = TypeVar("Opened")
#: What a MemoryPart can be asked, by the names of its methods.
QUESTIONS = frozenset(
    {"read", "followers", "documents_at", "longest", "tell", "named", "token_counts", "batches", "places", "digests"}
    | {"verify"}
)


class RangeNotOpenError(LookupError):
    """A range is asked of a part that does not have it."""


class MemoryPart:
    """Opens ranges of one memory and answers for them. Safe to share between threads.

    Args:
        directory: the memory, or a folder that has the files of these ranges.
        manifest: the memory's.
        ranges: that are opened at once.
        cache_bytes: of a working memory, banks and ledgers kept in memory once read, for each kind; of all ranges.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
        ConfigError: the memory has no ranges.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        ranges: Collection[int] = (),
        *,
        cache_bytes: int = DEFAULT_CACHE,
    ) -> None:
        self._directory, self._manifest, self._plan = directory, manifest, RangePlan.of(manifest)
        self._cache = cache_bytes
        self._opened: dict[int, Banks | SolvedRange | None] = {}
        self.own(ranges)

    @property
    def ranges(self) -> list[int]:
        """Those that are open."""
        return sorted(self._opened)

    def own(self, ranges: Collection[int]) -> None:
        """Open these ranges too."""
        share = self._cache // max(1, len(set(ranges) | set(self._opened)))
        for index in ranges:
            if index not in self._opened:
                self._opened[index] = self._open(index, share)

    def drop(self, ranges: Collection[int]) -> None:
        """Let go of these ranges; what is asked of them meanwhile is still answered, or raises."""
        for index in ranges:
            self._opened.pop(index, None)  # files and maps end with their last user

    def warm(self, ranges: Collection[int]) -> None:
        """Ask each of these ranges something, so that code is compiled now, and have the system read their files."""
        for index in ranges:
            for record in self._plan.files(index):
                _read_ahead(self._directory / record.file)
            kind, window = self._opened.get(index), self._plan.first_window(index)
            which, rung = np.full(len(window), index), np.zeros(len(window), np.int64)
            if isinstance(kind, SolvedRange):
                self.tell(which, rung, window)
            elif isinstance(kind, WorkingShards):
                self.longest(which, places=rung, rungs=rung, hashes=window)
            elif kind is not None:
                self.read(which, window)

    def answer(self, question: str, ranges: np.ndarray, **columns: np.ndarray) -> Any:
        """What the method of that name says of (m,) rows; see Owners.ask.

        Raises:
            RangeNotOpenError: a row is for a range that is not open here.
        """
        if question not in QUESTIONS:
            raise ValueError(f"a part of a memory is not asked {question!r}")
        return getattr(self, question)(ranges, **columns)

    def read(self, ranges: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """(m, d) vectors of (m,) windows; see models.cues.Reader."""
        found = np.empty((len(hashes), self._manifest.config.inner_dim), self._manifest.config.vector_type)
        for banks, rows in self._each(ranges, self._banks):
            found[rows] = banks.read(hashes[rows])
        return found

    def followers(self, ranges: np.ndarray, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) windows."""
        told = [(rows, shards.followers(hashes[rows])) for shards, rows in self._each(ranges, self._working)]
        return gathered(told, len(hashes))

    def documents_at(self, ranges: np.ndarray, hashes: np.ndarray) -> Followers:
        """The documents that each of (m,) windows is an anchor of."""
        told = [(rows, shards.documents_at(hashes[rows])) for shards, rows in self._each(ranges, self._working)]
        return gathered(told, len(hashes))

    def longest(
        self, ranges: np.ndarray, *, places: np.ndarray, rungs: np.ndarray, hashes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Followers]:
        """Of each place the longest window here that is held, and what follows it.

        Args:
            places: (m,) int64, which windows are of one place. rungs: (m,) int64.

        Returns:
            The places of which a window is held, (k,); its rung, (k,); the followers of these k windows.
        """
        left, told = np.ones(len(places), bool), []
        for rung in range(int(rungs.max(initial=-1)), -1, -1):
            rows = np.flatnonzero(left & (rungs == rung))
            found = self.followers(ranges[rows], hashes[rows])
            held = rows[found.held]
            told.append((held, found))
            left &= ~np.isin(places, places[held])
        rows = np.concatenate([np.zeros(0, np.int64), *(held for held, _ in told)])
        sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(f.bounds)[f.held] for _, f in told)])
        tokens = np.concatenate([np.zeros(0, np.int64), *(found.tokens for _, found in told)])
        counts = np.concatenate([np.zeros(0, np.int64), *(found.counts for _, found in told)])
        return places[rows], rungs[rows], Followers(np.concatenate([[0], np.cumsum(sizes)]), tokens, counts)

    def tell(self, ranges: np.ndarray, rungs: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What (m,) windows are solved for; see SolvedRange."""
        numbers, several = np.empty(len(hashes), np.int64), np.empty(len(hashes), bool)
        for solved, rows in self._each(ranges, self._solved):
            numbers[rows], several[rows] = solved.tell(rungs[rows], hashes[rows])
        return numbers, several

    def named(self, ranges: np.ndarray, low: np.ndarray) -> list[tuple[int, int, str]]:
        """(range, low, id) of the documents that have these numbers: of a working memory low halves of keys."""
        if self._manifest.solved is not None:
            return self._named_solved(low)
        told = []
        for shards, rows in self._each(ranges, self._working):
            for file in shards.files:
                told += [(int(ranges[rows[0]]), half, name) for half, name in file.documents.ids(np.unique(low[rows]))]
        return told

    def token_counts(self, ranges: np.ndarray) -> np.ndarray | None:
        """(V + 1,) uint64 of all ranges asked; None where they are not counted."""
        return total_counts(banks.token_counts() for banks, _ in self._each(ranges, self._banks))

    def batches(self, ranges: np.ndarray, numbers: np.ndarray) -> list[pa.Table]:
        """Kept batches by their places in the manifest, one for each row."""
        kept = KeptBatches(self._directory, self._manifest)
        return [kept.read(self._manifest.batches[number]) for number in numbers.tolist()]

    def places(self, ranges: np.ndarray, numbers: np.ndarray) -> list[pa.Table]:
        """Ids, sources and positions of kept batches; see read_places."""
        kept = KeptBatches(self._directory, self._manifest)
        return [read_places(kept.folder, self._manifest.batches[number]) for number in numbers.tolist()]

    def digests(self, ranges: np.ndarray) -> list[Any]:
        """Of each row's range, what the memory's digest covers of it: of a solved memory, rung by rung."""
        asked = (self._range(index) for index in ranges.tolist())
        return [[] if one is None else one.digests for one in asked]

    def verify(self, ranges: np.ndarray) -> list[int]:
        """Check every byte of the ranges asked, kept batches among them; (m,) bytes of each."""
        for index in ranges.tolist():
            opened = self._range(index)
            if opened is not None:
                opened.verify()
            elif self._manifest.solved is not None:
                self._named_solved(np.zeros(0, np.uint32))
            kept = KeptBatches(self._directory, self._manifest)
            for record in self._manifest.batches[index :: len(self._plan)]:
                kept.read(record)
        return [self._plan.bytes(index) for index in ranges.tolist()]

    def _named_solved(self, low: np.ndarray) -> list[tuple[int, int, str]]:
        assert self._manifest.solved is not None
        record = self._manifest.solved.documents
        assert record is not None
        path = self._directory / record.file
        require_bytes(path, record)
        if file_digest(path) != record.blake2b:
            raise DamagedMemoryError(f"{path} does not match the manifest's checksum; restore it or publish again")
        if not len(low):
            return []
        with naming_damage(path):
            table = pq.read_table(path, filters=[("number", "in", sorted(set(low.tolist())))], partitioning=None)
        columns = (table.column(name).to_pylist() for name in ("number", "id"))
        return [(self._plan.names, number, name) for number, name in zip(*columns, strict=True)]

    def _each(self, ranges: np.ndarray, kind: Callable[[Any], Opened]) -> list[tuple[Opened, np.ndarray]]:
        """What answers each range that is asked, with its rows."""
        return [(kind(self._range(index)), rows) for index, rows in rows_of(ranges)]

    def _range(self, index: int) -> Banks | SolvedRange | None:
        try:
            return self._opened[index]
        except KeyError:
            raise RangeNotOpenError(index) from None

    def _open(self, index: int, cache: int) -> Banks | SolvedRange | None:
        manifest, solved = self._manifest, self._manifest.solved
        if solved is not None:
            return SolvedRange(self._directory, index, manifest) if index < solved.num_files else None
        only = self._plan.alone(index)
        return PublishedShards(self._directory, only) if manifest.bits else WorkingShards(self._directory, only, cache)

    @staticmethod
    def _banks(opened: Any) -> Banks:
        assert isinstance(opened, WorkingShards | PublishedShards)
        return opened

    @staticmethod
    def _working(opened: Any) -> WorkingShards:
        assert isinstance(opened, WorkingShards)
        return opened

    @staticmethod
    def _solved(opened: Any) -> SolvedRange:
        assert isinstance(opened, SolvedRange)
        return opened


def _read_ahead(path: Path) -> None:
    """Have the system read a file, if it has room for it."""
    with suppress(OSError), path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
