"""PartStore: where the parts of a ledger live between merges.

Covers: in the array library's own memory; in host memory behind a GPU. Does not cover: merging (ledger.py).
"""

from types import ModuleType
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host

Columns = tuple[Array, Array, Array]  # names uint64, tokens uint32, counts uint32, of one length


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


def _empty(xp: ModuleType) -> Columns:
    return xp.zeros(0, xp.uint64), xp.zeros(0, xp.uint32), xp.zeros(0, xp.uint32)
