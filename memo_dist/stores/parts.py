"""PartStore: where the parts of a ledger live between merges.

Covers: in the array library's own memory; in host memory behind a GPU; in a scratch file, one part at a time in memory.
Does not cover: merging (ledger.py).
"""

from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.stores.scratch import ScratchFile

Columns = tuple[Array, Array, Array]  # names uint64, tokens uint32, counts uint32, of one length
_TYPES = (np.uint64, np.uint32, np.uint32)
_ROW = 16


class PartStore(Protocol):
    """Parts, empty at first. What is returned is not to be changed."""

    lengths: list[int]

    def read(self, index: int) -> Columns:
        """A part's columns."""
        ...

    def write(self, index: int, columns: Columns) -> None:
        """Replace a part; it may have another length."""
        ...


class ResidentParts:
    """All parts in the array library's memory."""

    def __init__(self, count: int, xp: ModuleType = np) -> None:
        self.lengths = [0] * count
        self._parts: list[Columns] = [_empty(xp)] * count

    def read(self, index: int) -> Columns:
        return self._parts[index]

    def write(self, index: int, columns: Columns) -> None:
        self.lengths[index] = len(columns[0])
        self._parts[index] = columns


class HostParts:
    """All parts in host memory; one comes to the device to be merged."""

    def __init__(self, count: int, xp: ModuleType = np) -> None:
        self._xp, self._parts = xp, ResidentParts(count)
        self.lengths = self._parts.lengths

    def read(self, index: int) -> Columns:
        names, tokens, counts = (to_device(column, self._xp) for column in self._parts.read(index))
        return names, tokens, counts

    def write(self, index: int, columns: Columns) -> None:
        names, tokens, counts = (to_host(column) for column in columns)
        self._parts.write(index, (names, tokens, counts))


class FileParts:
    """Parts in a scratch file; the one used last stays in memory.

    Each has a place with room to grow. One that outgrows it moves to the end into a place of twice its size, so the
    file has at most four times the bytes of the ledger.

    Raises:
        StorageError: the disk is full, or not to be written.
    """

    def __init__(self, directory: Path, count: int, xp: ModuleType = np) -> None:
        self.lengths = [0] * count
        self._file, self._xp = ScratchFile(directory), xp
        self._places = [(0, 0)] * count  # offset, rows that fit
        self._last: tuple[int, Columns] = (-1, _empty(xp))

    def read(self, index: int) -> Columns:
        if self._last[0] != index:
            columns = tuple(np.empty(self.lengths[index], kind) for kind in _TYPES)
            offset = self._places[index][0]
            for column in columns:
                self._file.read_into(offset, column)
                offset += column.nbytes
            names, tokens, counts = (to_device(column, self._xp) for column in columns)
            self._last = (index, (names, tokens, counts))
        return self._last[1]

    def write(self, index: int, columns: Columns) -> None:
        rows = len(columns[0])
        if rows > self._places[index][1]:
            self._places[index] = (self._file.extend(2 * rows * _ROW), 2 * rows)
        offset = self._places[index][0]
        for column, kind in zip(columns, _TYPES, strict=True):
            host = np.ascontiguousarray(to_host(column), kind)
            self._file.write(offset, host)
            offset += host.nbytes
        self.lengths[index] = rows
        self._last = (index, columns)


def _empty(xp: ModuleType) -> Columns:
    return xp.zeros(0, xp.uint64), xp.zeros(0, xp.uint32), xp.zeros(0, xp.uint32)
