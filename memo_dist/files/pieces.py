"""Pieces: bytes of banks, one bank behind the other, as datasets written while their number is not known yet.

Covers: writing them. Does not cover: reading (Items in extents.py). HDF5 has to know how long a dataset is before it
gives it a place, so a stream that goes on begins another dataset: `name`, `name.1`, `name.2`, ... Every byte is written
once, none is wasted, and a short stream is one dataset.
"""

import h5py
import numpy as np

_PIECE = 1 << 23  # bytes at least, but for the last; a dataset takes some 300 bytes beside what it holds


class PiecesWriter:
    """A stream while it is written.

    Args:
        group: where its datasets are. name: of the first. banks: how many.
    """

    def __init__(self, group: h5py.Group, name: str, banks: int) -> None:
        self._group, self._name, self._written = group, name, 0
        self._waiting = bytearray()
        self._sizes = np.zeros(banks, np.int64)

    def put(self, bank: int, data: bytes) -> None:
        """Append bytes of a bank, counted from the first; banks rise, and may be left out.

        Raises:
            OSError: the file cannot be written.
        """
        self._sizes[bank] += len(data)
        self._waiting += data
        if len(self._waiting) >= _PIECE:
            self._write()

    def close(self) -> None:
        """Write what waits; errors as for `put`."""
        if self._waiting or not self._written:
            self._write()

    @property
    def bounds(self) -> np.ndarray:
        """Where each bank's bytes begin, and where the last one's end, (banks + 1,) uint64."""
        return np.concatenate([[0], np.cumsum(self._sizes)]).astype("<u8")

    def _write(self) -> None:
        name = f"{self._name}.{self._written}" if self._written else self._name
        self._group[name] = np.frombuffer(self._waiting, np.uint8)
        self._waiting, self._written = bytearray(), self._written + 1
