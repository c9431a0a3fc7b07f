"""FollowedMemory: a memory directory as it is now, opened anew once another generation is there.

Covers: noticing, opening, going on with the old generation where the new one cannot be opened. Does not cover: memories
that bank servers have open (cluster/bank_servers/following.py), what is asked (answerer.py).

A change replaces the manifest, so a look at that file tells. The files of a generation that is open can be read for as
long as it is, also when they are gone from the directory.
"""

import logging
from pathlib import Path

from memo_dist.errors import MemoError
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import OpenMemory, open_memory

_log = logging.getLogger("memo_dist.serve")
Stamp = tuple[int, int, int]


class FollowedMemory:
    """Opens a memory, and opens it again when it has changed.

    Args:
        path: of the memory.

    Raises:
        DamagedMemoryError: it is not whole.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._stamp = path, stamp_of(path)
        self._memory = open_memory(path)

    def __call__(self) -> OpenMemory:
        """The memory: the same object until another generation is there, of which the old one stays open."""
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._take_newer()
        return self._memory

    def _take_newer(self) -> None:
        try:
            if Manifest.read(self._path) == self._memory.manifest:
                return
            self._memory = open_memory(self._path)
        except MemoError as error:
            _log.warning("the memory has changed, and what it is now cannot be opened; the old goes on: %s", error)


def stamp_of(path: Path) -> Stamp:
    """What changes with a memory's manifest: zeros where it has none."""
    try:
        found = (path / MANIFEST_FILE).stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns
