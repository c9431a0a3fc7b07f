"""Compression: files that are compressed, opened as the bytes that they hold.

Covers: the endings .gz .zst .bz2 .xz, opening local paths and URLs, reading forward where a codec cannot seek, how much
a file holds. Does not cover: what the bytes mean (formats/), errors that name the file (sources.py).
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""The ending of a compressed file's name -> fsspec's name of its codec."""

_CHUNK = 1 << 20
_BUFFER = 1 << 16
_LEAST_STORED, _MOST_READ = 1 << 20, 16 << 20  # codecs read some 100 KB ahead


def open_decompressed(url: str, compression: str | None) -> AbstractContextManager[IO[bytes]]:
    """The bytes of a local path or fsspec URL, decompressed by the codec `compression`; None takes them as they are."""
    if "://" not in url and compression is None:
        return open(url, "rb")
    import fsspec  # here, so that a module which needs the endings only loads no file systems
    from fsspec.implementations.local import LocalFileSystem

    if "://" in url:
        return _remote(url) if compression is None else fsspec.open(url, "rb", compression=compression)
    # a local name is no URL: "::" in it means nothing
    opened: AbstractContextManager[IO[bytes]] = LocalFileSystem().open(url, compression=compression)
    return opened


@contextmanager
def _remote(url: str) -> Iterator[IO[bytes]]:
    import fsspec
    from fsspec.spec import AbstractBufferedFile

    with fsspec.open(url, "rb") as handle:
        # whose own readline takes no size
        yield io.BufferedReader(handle, _BUFFER) if isinstance(handle, AbstractBufferedFile) else handle


def move_to(handle: IO[bytes], start: int) -> None:
    """Move to byte `start` of a file just opened; a codec that cannot seek is read forward."""
    try:
        handle.seek(start)
    except (OSError, ValueError, NotImplementedError):  # as codecs refuse, each in its way; damage shows when read
        while start and (chunk := handle.read(min(start, _CHUNK))):
            start -= len(chunk)


def count_bytes(handle: IO[bytes]) -> int:
    """The number of bytes from here to the end, read through; this also proves a compressed stream whole."""
    size = 0
    while chunk := handle.read(_CHUNK):
        size += len(chunk)
    return size


def estimated_bytes(url: str, compression: str, stored: int) -> tuple[int, bool]:
    """About how many bytes a compressed file of `stored` bytes holds, from its beginning; and whether that is exact,
    because the beginning is all of it.

    At most 16 MiB come out of the codec, and no more than a stored megabyte gives.
    """
    from fsspec.compression import compr

    with open_decompressed(url, None) as raw, compr[compression](raw, mode="rb") as handle:
        size = 0
        while size < _MOST_READ and raw.tell() < _LEAST_STORED:
            if not (chunk := handle.read(_CHUNK >> 2)):
                return size, True
            size += len(chunk)
        return max(size, size * stored // max(raw.tell(), 1)), False
