"""OpenFiles: run files that stay open from one slice of a merge to the next, a bounded number of them.

Covers: opening for reading, closing. Does not cover: what is read (indexed_file.py).

A merge asks every file once a slice, one after the other, so that of more files than may be open the first ones stay:
if each made room for the next, none would be open when it is asked again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

_OPTIONS = ipc.IpcReadOptions(use_threads=False)  # a part is so small that handing its columns to threads takes longer


class OpenFiles:
    """Not to be shared between threads.

    Args:
        most: how many stay open; others are closed as soon as they were read.
    """

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._kept: dict[Path, tuple[pa.OSFile, ipc.RecordBatchFileReader]] = {}

    @contextmanager
    def reader(self, path: Path) -> Iterator[ipc.RecordBatchFileReader]:
        """A file's reader, while it is used.

        Raises:
            OSError, pa.ArrowException: it cannot be opened, or is no Arrow IPC file.
        """
        if path in self._kept:
            yield self._kept[path][1]
            return
        source = pa.OSFile(str(path))
        try:
            reader = ipc.open_file(source, options=_OPTIONS)
            if stays := len(self._kept) < self._most:
                self._kept[path] = source, reader
        except BaseException:
            source.close()
            raise
        try:
            yield reader
        finally:
            if not stays:
                source.close()

    def close(self) -> None:
        """Close all; what is asked afterwards is opened anew."""
        while self._kept:
            self._kept.popitem()[1][0].close()
