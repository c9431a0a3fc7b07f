"""Durable files: temporary name, fsync, rename; errors that name the file.

Covers: what writing a file takes so that it is there whole or not at all. Does not cover: what is in it.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from memo_dist.errors import StorageError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Sink(FileIO):
    """A file for HDF5 to write to that never fails: the first error is kept, to be raised once HDF5 is done.

    HDF5 (2.0, under h5py 3.16) that is told of a full disk cannot close the file, and crashes the process later.
    """

    error: OSError | None = None

    def write(self, data: "Buffer", /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while self.error is None and len(left):
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into a StorageError that names the file."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py reports a failed flush as RuntimeError
        if isinstance(error, StorageError):
            raise
        full = getattr(error, "errno", None) == errno.ENOSPC or f"errno = {errno.ENOSPC}" in str(error)
        reason = "the disk is full: make room or choose another place" if full else str(error)
        raise StorageError(f"cannot write {path}: {reason}") from error


def file_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def sync_file(path: Path) -> None:
    """Have the disk keep what was written to a file that is closed."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, shared: bool = False) -> None:
    """Temporary name, fsync, rename; see write_bytes."""
    write_bytes(path, text.encode(), shared=shared)


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Temporary name, fsync, rename.

    Args:
        shared: whether others may write the same at once: the temporary name is one that nobody else has.
    """
    temporary = path.with_name(f"{path.name}{f'.{secrets.token_hex(4)}' if shared else ''}.tmp")
    try:
        with open(temporary, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
