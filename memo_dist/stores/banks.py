"""BankStore: where the cells of a range of banks live while they are written.

Covers: in the array library's own memory; in host memory behind a GPU; in a scratch file behind either. Does not cover:
what is added to them (models/text/banks.py), durable files (files/shard_writer.py).

Banks are visited in groups, one group after the other. Behind a GPU the next group is uploaded and the last one is
downloaded while the group between them is worked on (device/conveyor.py). Groups are visited in rising order of banks,
so a file is read and written from front to back. Files are read and written, not mapped: pages of a map would count as
the process's memory.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, room_on_device, to_device
from memo_dist.device.conveyor import Conveyor
from memo_dist.stores.scratch import ScratchFile

Group = range | np.ndarray  # of banks, rising; a range or (k,) int64


class BankStore(Protocol):
    """(count, rows, d) cells, all zero at first; banks are counted from the range's first.

    Attributes:
        group_bytes: cells that are best visited together.
    """

    group_bytes: int

    def visit(self, groups: Iterable[Group], change: bool = True) -> Iterator[tuple[Group, Array]]:
        """Each group with its banks, (k, rows, d) on the device, to be changed in place until the next is asked for.

        Must be exhausted. No bank is in two groups. Without `change` nothing is taken back, and nothing may be changed.
        """
        ...

    def read(self, start: int, stop: int) -> Array:
        """Banks start .. stop - 1, (stop - start, rows, d), not to be changed; on the side where they live."""
        ...

    def fill(self, index: int, cells: np.ndarray) -> None:
        """Replace one bank."""
        ...


def bank_store(
    shape: tuple[int, ...],
    cell_type: str,
    *,
    xp: ModuleType = np,
    scratch: Path | None = None,
    device_room: float | None = None,
) -> BankStore:
    """Empty banks: in a file if `scratch` is given; else in memory, on the GPU if they fit there.

    Args:
        shape: (banks, rows, columns).
        cell_type: the NumPy type of a cell.
        xp: numpy or cupy.
        scratch: the directory for the file.
        device_room: bytes that the banks may take of the GPU; None leaves it a third of what is free to work in.
    """
    if scratch is not None:
        return FileBanks(scratch, shape, cell_type, xp=xp)
    size = int(np.prod(shape)) * np.dtype(cell_type).itemsize
    room = room_on_device(xp) if device_room is None else device_room
    if size <= room:
        return ResidentBanks(shape, cell_type, xp)
    return HostBanks(shape, cell_type, xp)


def _conveyed(
    conveyor: Conveyor,
    groups: Iterable[Group],
    *,
    gather: Callable[[Group], np.ndarray],
    scatter: Callable[[Group, np.ndarray], None] | None,
) -> Iterator[tuple[Group, Array]]:
    """Visit banks of the host on the device."""
    visited: list[Group] = []

    def cells_of() -> Iterator[np.ndarray]:
        for group in groups:
            visited.append(group)
            yield gather(group)

    def take_back(number: int, cells: np.ndarray) -> None:
        if scatter is not None:
            scatter(visited[number], cells)

    carried = conveyor.carry(cells_of(), None if scatter is None else take_back)
    for number, cells in enumerate(carried):
        yield visited[number], cells


def _span(group: Group) -> slice | None:
    """The slice that the banks of a group are, if they follow each other."""
    first, last = int(group[0]), int(group[-1])
    return slice(first, last + 1) if last - first + 1 == len(group) else None


class ResidentBanks:
    """All banks in the array library's memory."""

    group_bytes = 1 << 26

    def __init__(self, shape: tuple[int, ...], cell_type: str, xp: ModuleType = np) -> None:
        self._cells, self._xp = xp.zeros(shape, np.dtype(cell_type)), xp

    def visit(self, groups: Iterable[Group], change: bool = True) -> Iterator[tuple[Group, Array]]:
        for group in groups:
            span = _span(group)
            where = span if span is not None else to_device(np.asarray(group), self._xp)
            cells = self._cells[where]
            yield group, cells
            if change and span is None:
                self._cells[where] = cells

    def read(self, start: int, stop: int) -> Array:
        return self._cells[start:stop]

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._cells[index] = to_device(cells, self._xp)


class HostBanks:
    """Banks in host memory; each group comes to the device while it is worked on."""

    group_bytes = 1 << 23  # one change of the ledger's visits several, so that copies overlap with work

    def __init__(self, shape: tuple[int, ...], cell_type: str, xp: ModuleType = np) -> None:
        self._cells, self._conveyor = np.zeros(shape, np.dtype(cell_type)), Conveyor(xp)

    def visit(self, groups: Iterable[Group], change: bool = True) -> Iterator[tuple[Group, Array]]:
        return _conveyed(self._conveyor, groups, gather=self._gather, scatter=self._scatter if change else None)

    def read(self, start: int, stop: int) -> Array:
        return self._cells[start:stop]

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._cells[index] = cells

    def _gather(self, group: Group) -> np.ndarray:
        return self._cells[_span(group) or np.asarray(group)]

    def _scatter(self, group: Group, cells: np.ndarray) -> None:
        self._cells[_span(group) or np.asarray(group)] = cells


class FileBanks:
    """Banks in a scratch file that ends with the process.

    Args:
        directory: where; the file has no name there.

    Raises:
        StorageError: the disk is full, or not to be written.
    """

    group_bytes = HostBanks.group_bytes

    def __init__(self, directory: Path, shape: tuple[int, ...], cell_type: str, *, xp: ModuleType = np) -> None:
        self._file = ScratchFile(directory)
        self._conveyor = None if xp is np else Conveyor(xp)
        self._shape, self._type = shape[1:], np.dtype(cell_type)
        self._size = int(np.prod(self._shape)) * self._type.itemsize
        self._file.extend(shape[0] * self._size)  # zeros that take no room yet

    def visit(self, groups: Iterable[Group], change: bool = True) -> Iterator[tuple[Group, Array]]:
        if self._conveyor is not None:
            yield from _conveyed(self._conveyor, groups, gather=self._gather, scatter=self._scatter if change else None)
            return
        for group in groups:
            cells = self._gather(group)
            yield group, cells
            if change:
                self._scatter(group, cells)

    def read(self, start: int, stop: int) -> Array:
        return self._gather(range(start, stop))

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._scatter(range(index, index + 1), cells[None])

    def _gather(self, group: Group) -> np.ndarray:
        cells = np.empty((len(group), *self._shape), self._type)
        for rows, first in self._runs(group):
            self._file.read_into(first * self._size, cells[rows])
        return cells

    def _scatter(self, group: Group, cells: np.ndarray) -> None:
        for rows, first in self._runs(group):
            self._file.write(first * self._size, np.ascontiguousarray(cells[rows], self._type))

    @staticmethod
    def _runs(group: Group) -> Iterator[tuple[slice, int]]:
        """(rows of the group, first bank) of every run of banks that follow each other."""
        banks = np.asarray(group, np.int64)
        if not len(banks):
            return
        breaks = np.flatnonzero(np.diff(banks) != 1) + 1
        for start, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(banks)], strict=True):
            yield slice(start, stop), int(banks[start])
