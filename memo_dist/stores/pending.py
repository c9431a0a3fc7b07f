"""PendingStore: associations that wait to be merged into the ledger, in memory or in a scratch file.

Covers: collecting, and handing out in pieces that fit memory. Does not cover: merging (ledger.py).

In a file they are kept apart by the ledger's parts as they come, which is the first half of a sort: every part, and so
every bank, is visited once however many associations wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.device.backend import to_device, to_host
from memo_dist.models.text.associations import Associations
from memo_dist.stores.scratch import ScratchFile

ROW = 12  # bytes of an association: name 8, token 4
_SIGNS = (1, -1)  # what is memorized goes before what is forgotten, so forgetting finds what the same batch memorized


class PendingStore(Protocol):
    """Signed associations."""

    @property
    def full(self) -> bool:
        """Whether they should be taken now."""
        ...

    def add(self, associations: Associations, sign: int) -> None:
        """Keep some, to be added (1) or taken away (-1)."""
        ...

    def take(self) -> Iterator[tuple[int, Associations]]:
        """Hand out and drop all of them as (sign, associations); must be exhausted."""
        ...


class ResidentPending:
    """In the array library's memory.

    Args:
        limit: the number of associations at which the store is full.
    """

    def __init__(self, limit: int, xp: ModuleType = np) -> None:
        self._limit, self._xp, self._count = limit, xp, 0
        self._waiting: dict[int, list[Associations]] = {sign: [] for sign in _SIGNS}

    @property
    def full(self) -> bool:
        return self._count >= self._limit

    def add(self, associations: Associations, sign: int) -> None:
        self._waiting[sign].append(associations)
        self._count += len(associations)

    def take(self) -> Iterator[tuple[int, Associations]]:
        self._count = 0
        for sign, waiting in self._waiting.items():
            if waiting:
                names = self._xp.concatenate([w.names for w in waiting])
                tokens = self._xp.concatenate([w.tokens for w in waiting])
                waiting.clear()
                yield sign, Associations(names, tokens)


class FilePending:
    """In a scratch file, apart by the ledger's parts.

    Args:
        directory: of the scratch file.
        edges: the smallest name of every part but the first, rising.
        piece: the most associations that are handed out at a time.
        limit: the number of associations at which the store is full. Each taking visits every bank, so it pays to wait.

    Raises:
        StorageError: the disk is full, or not to be written.
    """

    def __init__(self, directory: Path, edges: list[int], *, piece: int, limit: int, xp: ModuleType = np) -> None:
        self._directory, self._piece, self._limit, self._xp = directory, piece, limit, xp
        self._edges = np.array(edges, np.uint64)
        self._clear()

    def _clear(self) -> None:
        self._count, self._file = 0, ScratchFile(self._directory)
        self._runs: dict[int, list[_Run]] = {sign: [] for sign in _SIGNS}

    @property
    def full(self) -> bool:
        return self._count >= self._limit

    def add(self, associations: Associations, sign: int) -> None:
        names, tokens = to_host(associations.names), to_host(associations.tokens)
        part = np.searchsorted(self._edges, names, side="right").astype(np.uint32)
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(len(self._edges) + 2))
        run = _Run(self._file.extend(len(names) * ROW), bounds)
        self._file.write(run.offset, names[order])
        self._file.write(run.offset + names.nbytes, tokens[order])
        self._runs[sign].append(run)
        self._count += len(names)

    def take(self) -> Iterator[tuple[int, Associations]]:
        for part in range(len(self._edges) + 1):
            for sign in _SIGNS:
                for associations in self._pieces(part, self._runs[sign]):
                    yield sign, associations
        self._clear()

    def _pieces(self, part: int, runs: list["_Run"]) -> Iterator[Associations]:
        """What the runs hold of a part, at most `piece` at a time."""
        rows = [(run, start, stop) for run in runs for start, stop in run.cut(part, self._piece)]
        while rows:
            count = held = 0
            while count < len(rows) and (not count or held + rows[count][2] - rows[count][1] <= self._piece):
                held += rows[count][2] - rows[count][1]
                count += 1
            yield self._read(rows[:count], held)
            rows = rows[count:]

    def _read(self, rows: list[tuple["_Run", int, int]], held: int) -> Associations:
        names, tokens, at = np.empty(held, np.uint64), np.empty(held, np.uint32), 0
        for run, start, stop in rows:
            into = slice(at, at + stop - start)
            self._file.read_into(run.offset + 8 * start, names[into])
            self._file.read_into(run.offset + 8 * run.rows + 4 * start, tokens[into])
            at = into.stop
        return Associations(to_device(names, self._xp), to_device(tokens, self._xp))


@dataclass(frozen=True)
class _Run:
    """What one call added: names, then tokens, from `offset` on, part `i` in rows bounds[i] .. bounds[i + 1] - 1."""

    offset: int
    bounds: np.ndarray

    @property
    def rows(self) -> int:
        return int(self.bounds[-1])

    def cut(self, part: int, piece: int) -> Iterator[tuple[int, int]]:
        """The rows of a part, at most `piece` at a time."""
        first, last = int(self.bounds[part]), int(self.bounds[part + 1])
        for start in range(first, last, piece):
            yield start, min(start + piece, last)
