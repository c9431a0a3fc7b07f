"""Spool: bytes in order that become a dataset once their number is known; those of banks, with where each begins.

Covers: keeping few in memory and many on disk. Does not cover: anything durable.
"""

import tempfile
from pathlib import Path
from typing import Self

import h5py
import numpy as np

_IN_MEMORY = 1 << 23
_BLOCK = 1 << 23


class Spool:
    """Bytes written one behind the other; beyond 8 MiB in a nameless file, which the system frees with the process.

    Args:
        directory: where that file is.
    """

    def __init__(self, directory: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(directory))  # noqa: SIM115  # until __exit__
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self.size += self._file.write(data)

    def into(self, group: h5py.Group, name: str) -> None:
        """Make them a dataset of uint8."""
        target, at = group.create_dataset(name, (self.size,), np.uint8), 0
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            target[at : at + len(block)] = np.frombuffer(block, np.uint8)
            at += len(block)


class BankSpool(Spool):
    """A spool of bytes of banks, one bank behind the other, that knows where each begins.

    Args:
        directory: see Spool. banks: how many.
    """

    def __init__(self, directory: Path, banks: int) -> None:
        super().__init__(directory)
        self._sizes = np.zeros(banks, np.int64)

    def put(self, bank: int, data: bytes) -> None:
        """Append bytes of a bank, counted from the first; banks rise, and may be left out."""
        self.write(data)
        self._sizes[bank] += len(data)

    @property
    def bounds(self) -> np.ndarray:
        """Where each bank's bytes begin, and where the last one's end, (banks + 1,) uint64."""
        return np.concatenate([[0], np.cumsum(self._sizes)]).astype("<u8")
