"""Extents: the datasets of an HDF5 file as ranges of its bytes, read without HDF5.

Covers: finding datasets, checking that they are what they should be, reading rows. Does not cover: what is in them.

What a file says of its own sizes is not believed: a dataset must have the type and shape that its reader expects, and
its bytes must lie in the file, one behind the other. So no dataset makes a reader take more memory than the file has
bytes; what is compressed in one (packing/frames.py) takes what the manifest's config says of a bank.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import accumulate
from pathlib import Path

import h5py
import numpy as np

from memo_dist.errors import DamagedMemoryError


class Extent:
    """A dataset: where it lies in a file, shape and type.

    Args:
        file: opened for reading, and its path. offset: of the dataset's first byte.
    """

    def __init__(self, file: FileIO, path: Path, *, offset: int, shape: tuple[int, ...], kind: np.dtype) -> None:
        self._file, self._path, self.offset, self.shape, self.kind = file, path, offset, shape, kind
        self._row = kind.itemsize * math.prod(shape[1:])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows from start to stop, (stop - start, *shape[1:]).

        Raises:
            DamagedMemoryError: the file has become shorter, or the disk does not give it.
        """
        rows = np.empty((stop - start, *self.shape[1:]), self.kind)
        left, at = rows.reshape(-1).view(np.uint8).data, self.offset + start * self._row
        try:  # not `naming_damage`, which takes longer than reading a few bytes
            while left:
                count = os.preadv(self._file.fileno(), [left], at)
                if not count:
                    raise OSError(f"it ends at byte {at:,}")
                left, at = left[count:], at + count
        except (OSError, ValueError) as error:
            raise _unreadable(self._path, error) from error
        return rows

    def all(self) -> np.ndarray:
        """All rows."""
        return self.read(0, self.shape[0])


class Items:
    """Bytes that are items of any length, one behind the other, in one dataset or more.

    Args:
        pieces: the bytes, at least one piece. bounds: (count + 1,) int64, where each item begins, and where the last
            one ends; of all pieces together.
    """

    def __init__(self, pieces: list[Extent], bounds: np.ndarray) -> None:
        self._pieces, self.bounds = pieces, bounds
        self._firsts = [0, *accumulate(piece.shape[0] for piece in pieces[:-1])]

    def read(self, start: int, stop: int) -> np.ndarray:
        """The bytes of items from start to stop.

        Raises:
            DamagedMemoryError: see Extent.
        """
        at, end = int(self.bounds[start]), int(self.bounds[stop])
        index = bisect_right(self._firsts, at) - 1
        parts = [self._read(index, at, end)]
        while (at := at + len(parts[-1])) < end:
            index += 1
            parts.append(self._read(index, at, end))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read(self, index: int, at: int, end: int) -> np.ndarray:
        """The bytes from `at` on that a piece has."""
        piece, first = self._pieces[index], self._firsts[index]
        return piece.read(at - first, min(end - first, piece.shape[0]))


class Extents:
    """The datasets of one file.

    Args:
        path: the file. opened: the same, opened by HDF5; used by `find` alone.

    Raises:
        DamagedMemoryError: the file cannot be read.
    """

    def __init__(self, path: Path, opened: h5py.File) -> None:
        self.path, self._opened = path, opened
        with naming_damage(path):
            self._file = FileIO(path)  # lives as long as what was found
            self._size = os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Let go of the file; nothing that was found can be read any more."""
        self._file.close()

    def find(self, name: str, shape: tuple[int, ...], kind: str) -> Extent:
        """A dataset, which must have this shape and type.

        Raises:
            DamagedMemoryError: it is missing, another, or does not lie in the file as a whole.
        """
        wanted = np.dtype(kind)
        with naming_damage(self.path):
            found = self._opened[name]
            if not isinstance(found, h5py.Dataset) or found.shape != shape or found.dtype != wanted:
                raise DamagedMemoryError(f"{self.path}: {name} is {found!r}; expected shape {shape} of {wanted}")
            offset, size = found.id.get_offset(), wanted.itemsize * math.prod(shape)
        if size and (offset is None or offset + size > self._size):
            raise DamagedMemoryError(f"{self.path}: {name} does not lie in the file, one byte behind the other")
        return Extent(self._file, self.path, offset=offset or 0, shape=shape, kind=wanted)

    def bounds(self, name: str, count: int) -> np.ndarray:
        """Where each of `count` items begins, and where the last one ends: a dataset of (count + 1,) uint64, from 0 on,
        rising; as int64.

        Raises:
            DamagedMemoryError: it is not that.
        """
        bounds = self.find(name, (count + 1,), "<u8").all()
        if bounds[0] or int(bounds[-1]) >> 62 or not (bounds[1:] >= bounds[:-1]).all():
            raise DamagedMemoryError(f"{self.path}: {name} does not rise from 0; restore the file")
        return bounds.astype(np.int64)

    def items(self, name: str, bounds: str, count: int) -> Items:
        """`count` items in datasets of bytes, `name`, `name.1` and so on, as long together as `bounds` says.

        Raises:
            DamagedMemoryError: see `bounds` and `find`.
        """
        found = self.bounds(bounds, count)
        return Items(self._pieces(name, int(found[-1])), found)

    def _pieces(self, name: str, size: int) -> list[Extent]:
        """Datasets of bytes that are `size` together: none is empty, unless there are no bytes."""
        if size > self._size:  # so many names for one place would be more to read than the file has
            raise DamagedMemoryError(f"{self.path}: {name} has {size:,} bytes, more than the file")
        found: list[Extent] = []
        while size or not found:
            piece = f"{name}.{len(found)}" if found else name
            with naming_damage(self.path):
                shape: tuple[int, ...] = getattr(self._opened[piece], "shape", None) or ()
            if len(shape) != 1 or not min(1, size) <= shape[0] <= size:
                raise DamagedMemoryError(f"{self.path}: {piece} has shape {shape}; expected {size:,} bytes at most")
            found.append(self.find(piece, shape, "|u1"))
            size -= shape[0]
        return found


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Whatever HDF5 says of a bad file becomes a DamagedMemoryError that names it."""
    try:
        yield
    except DamagedMemoryError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DamagedMemoryError:
    return DamagedMemoryError(
        f"{path} cannot be read as a shard of a memory ({error}); restore it from a copy or build again"
    )
