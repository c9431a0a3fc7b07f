"""Copying: files of a memory to a node that does not see its directory.

Covers: whether a node sees a memory, copies of some files, each checked. Does not cover: which (server.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray

from memo_dist.durable import file_digest, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import FileRecord, Manifest

_PIECE = 1 << 23


class NotSeenError(ConfigError):
    """A node does not see the directory of a memory."""


class FileSource:
    """An actor on a node that sees a memory, which reads its files for those that do not.

    Args:
        path: of the memory.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def read(self, name: str, start: int) -> bytes:
        """A piece of a file, from byte `start` on; at its end none."""
        with (self._path / name).open("rb") as file:
            file.seek(start)
            return file.read(_PIECE)


def sees(directory: Path, manifest: Manifest) -> bool:
    """Whether the files of a memory are there, as far as names and sizes tell."""
    solved = manifest.solved
    first = manifest.shards[0] if solved is None else solved.files[0]
    try:
        return (directory / first.file).stat().st_size == first.bytes
    except OSError:
        return False


def copy_files(records: Iterable[FileRecord], directory: Path, source: Any) -> None:
    """Copy files that are not there yet.

    Args:
        source: a FileSource's handle.

    Raises:
        NotSeenError: there is no source. DamagedMemoryError: a copy is not the file. StorageError: there is no room.
    """
    for record in records:
        path = directory / record.file
        if path.exists():
            continue
        if source is None:
            raise NotSeenError(f"this node does not see {directory}")
        temporary = path.with_name(path.name + ".tmp")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                while piece := ray.get(source.read.remote(record.file, file.tell())):
                    file.write(piece)
        if file_digest(temporary) != record.blake2b:
            raise DamagedMemoryError(f"the copy of {record.file} does not match the manifest's checksum; restore it")
        temporary.rename(path)
