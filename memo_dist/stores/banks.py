"""BankStore: where the cells of a range of banks live while they are written.

Covers: in the array library's own memory; in host memory behind a GPU; in a scratch file behind either. Does not cover:
what is added to them (cmm.py), durable files (storage.py).

A bank is visited as `with store.bank(index) as cells`, which brings it here and takes it back. Whoever visits many does
so in rising order, so a file is read and written from front to back. Files are read and written, not mapped: pages of a
map would count as the process's memory.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.backend import Array, room_on_device, to_device, to_host
from memo_dist.stores.scratch import ScratchFile


class BankStore(Protocol):
    """(count, rows, d) cells, all zero at first; `index` counts from the range's first bank."""

    def bank(self, index: int) -> AbstractContextManager[Array]:
        """One bank, (rows, d), to be changed in place."""
        ...

    def read(self, start: int, stop: int) -> Array:
        """Banks start .. stop - 1, (stop - start, rows, d), not to be changed."""
        ...

    def fill(self, index: int, cells: np.ndarray) -> None:
        """Replace one bank."""
        ...


def bank_store(shape: tuple[int, ...], cell_type: str, xp: ModuleType = np, scratch: Path | None = None) -> BankStore:
    """A file's in the directory `scratch`; without one in memory, a GPU's own if they fit it with room to work."""
    if scratch is not None:
        return FileBanks(scratch, shape, cell_type, xp)
    size = int(np.prod(shape)) * np.dtype(cell_type).itemsize
    return (ResidentBanks if size <= room_on_device(xp) else HostBanks)(shape, cell_type, xp)


class ResidentBanks:
    """All banks in the array library's memory."""

    def __init__(self, shape: tuple[int, ...], cell_type: str, xp: ModuleType = np) -> None:
        self._cells, self._xp = xp.zeros(shape, np.dtype(cell_type)), xp

    @contextmanager
    def bank(self, index: int) -> Iterator[Array]:
        yield self._cells[index]

    def read(self, start: int, stop: int) -> Array:
        return self._cells[start:stop]

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._cells[index] = to_device(cells, self._xp)


class HostBanks:
    """Banks in host memory; each comes to the device while it is worked on."""

    def __init__(self, shape: tuple[int, ...], cell_type: str, xp: ModuleType = np) -> None:
        self._cells, self._xp = np.zeros(shape, np.dtype(cell_type)), xp

    @contextmanager
    def bank(self, index: int) -> Iterator[Array]:
        cells = to_device(self._cells[index], self._xp)
        yield cells
        if self._xp is not np:
            self._cells[index] = to_host(cells)

    def read(self, start: int, stop: int) -> Array:
        return to_device(self._cells[start:stop], self._xp)

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._cells[index] = cells


class FileBanks:
    """Banks in a scratch file that ends with the process.

    Args:
        directory: where; the file has no name there.

    Raises:
        StorageError: the disk is full, or not to be written.
    """

    def __init__(self, directory: Path, shape: tuple[int, ...], cell_type: str, xp: ModuleType = np) -> None:
        self._file, self._xp = ScratchFile(directory), xp
        self._shape, self._type = shape[1:], np.dtype(cell_type)
        self._size = int(np.prod(self._shape)) * self._type.itemsize
        self._file.extend(shape[0] * self._size)  # zeros that take no room yet

    @contextmanager
    def bank(self, index: int) -> Iterator[Array]:
        cells = to_device(self._read(index, index + 1)[0], self._xp)
        yield cells
        self.fill(index, to_host(cells))

    def read(self, start: int, stop: int) -> Array:
        return to_device(self._read(start, stop), self._xp)

    def fill(self, index: int, cells: np.ndarray) -> None:
        self._file.write(index * self._size, np.ascontiguousarray(cells, self._type))

    def _read(self, start: int, stop: int) -> np.ndarray:
        cells = np.empty((stop - start, *self._shape), self._type)
        self._file.read_into(start * self._size, cells)
        return cells
