"""BankStore: where the cells of a range of banks live while they are written.

Covers: in the array library's own memory; in host memory behind a GPU. Does not cover: what is added to them
(models/text/banks.py), files (files/shard_writer.py).

Banks are visited in groups, one group after the other. Behind a GPU the next group is uploaded and the last one is
downloaded while the group between them is worked on (device/conveyor.py).
"""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, room_on_device, to_device
from memo_dist.device.conveyor import Conveyor

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
    device_room: float | None = None,
) -> BankStore:
    """Empty banks: in memory, on the GPU if they fit there.

    Args:
        shape: (banks, rows, columns).
        cell_type: the NumPy type of a cell.
        xp: numpy or cupy.
        device_room: bytes that the banks may take of the GPU; None leaves it a third of what is free to work in.
    """
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
