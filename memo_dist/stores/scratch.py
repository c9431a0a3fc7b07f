"""ScratchFile: bytes on disk that nobody else sees and that end with the process, however it ends.

Covers: reading and writing arrays at offsets. Does not cover: anything durable (durable.py).
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from memo_dist.durable import writing


class ScratchFile:
    """A file without a name in `directory`; the system frees it when its process is gone.

    Raises:
        StorageError: `directory` cannot be written, or its disk is full.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115  # lives as long as self
        self.size = 0

    def extend(self, count: int) -> int:
        """Make room for `count` bytes more, read as zeros; returns where they begin."""
        start, self.size = self.size, self.size + count
        with writing(self._directory):
            self._file.truncate(self.size)
        return start

    def write(self, offset: int, array: np.ndarray) -> None:
        """Write a C-contiguous array."""
        left = array.reshape(-1).view(np.uint8).data
        with writing(self._directory):
            while len(left):
                written = os.pwrite(self._file.fileno(), left, offset)
                left, offset = left[written:], offset + written

    def read_into(self, offset: int, array: np.ndarray) -> None:
        """Fill a C-contiguous array."""
        left = array.reshape(-1).view(np.uint8).data
        with writing(self._directory):
            while len(left):
                count = os.preadv(self._file.fileno(), [left], offset)
                if not count:
                    raise OSError(f"scratch file ends at {offset}")
                left, offset = left[count:], offset + count
