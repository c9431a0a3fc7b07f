"""Copying: files of a memory to a node that does not see its directory.

Covers: whether a node sees a memory, copies of some files, each checked. Does not cover: which (server.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray

from memo_dist.durable import file_digest, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.generations import link_file
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

    def read(self, name: str, start: int) -> bytes | None:
        """A piece of a file, from byte `start` on; at its end none, b""; None: there is no such file any more."""
        try:
            with (self._path / name).open("rb") as file:
                file.seek(start)
                return file.read(_PIECE)
        except FileNotFoundError:
            return None


def sees(directory: Path, manifest: Manifest) -> bool:
    """Whether the files of a memory are there, as far as names and sizes tell."""
    solved = manifest.solved
    first = manifest.shards[0] if solved is None else solved.files[0]
    try:
        return (directory / first.file).stat().st_size == first.bytes
    except OSError:
        return False


def copy_files(records: Iterable[FileRecord], directory: Path, source: Any) -> None:
    """Copy files that are not there yet; those that another generation's copy has, in a folder beside, are linked.

    Args:
        source: a FileSource's handle.

    Raises:
        NotSeenError: there is no source. StorageError: there is no room.
        DamagedMemoryError: a copy is not the file, or the file is gone.
    """
    for record in records:
        path = directory / record.file
        if path.exists():
            continue
        if source is None:
            raise NotSeenError(f"this node does not see {directory}")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = (one for one in directory.parent.glob(f"*/{record.file}") if file_digest(one) == record.blake2b)
            twin = next(beside, None)
            if twin is not None:
                link_file(twin, path)
                continue
        _copy(record, path, source)


def _copy(record: FileRecord, path: Path, source: Any) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with writing(path), temporary.open("wb") as file:
        while piece := ray.get(source.read.remote(record.file, file.tell())):
            file.write(piece)
    if piece is None or file_digest(temporary) != record.blake2b:
        temporary.unlink()
        why = "the copy does not match the manifest's checksum" if piece is not None else "it is gone"
        raise DamagedMemoryError(
            f"{record.file} cannot be copied: {why}. The memory was replaced, or is damaged: verify tells; restore it"
        )
    temporary.rename(path)
