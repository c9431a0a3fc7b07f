"""Sources: input files, by name, place, format and size.

Covers: Source, opening it, reading a range of its bytes, what changes when the file does. Does not cover: which files
an input names (find.py), what a file's bytes mean (formats/), streams that are kept open (forward.py).
"""

import io
import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from memo_dist.errors import InputError, MemoError
from pipelines.compression import move_to, open_decompressed
from pipelines.forward import ForwardBytes, resumed

_BUFFER = 1 << 16


@dataclass(frozen=True)
class Source:
    """One input file.

    Attributes:
        name: as the user would call it; document ids begin with it.
        url: absolute path or URL, valid on every worker.
        format: the name of a format of pipelines/formats; `format_of` gives the format itself.
        compression: fsspec's name of a codec, or None.
        size: bytes of text once decompressed, or of the text column, or 4 for each token id; 0 before measuring.
        rows: number of rows, if the format is read by rows; else 0.
    """

    name: str
    url: str
    format: str
    compression: str | None
    size: int = 0
    rows: int = 0

    @property
    def is_remote(self) -> bool:
        """Whether the file is reached through a URL."""
        return "://" in self.url

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The decompressed bytes, from the start.

        Raises:
            InputError: the file cannot be opened or decompressed; raised also while reading inside the block.
        """
        with self.named(), open_decompressed(self.url, self.compression) as handle:
            yield handle

    @contextmanager
    def open_at(self, start: int) -> Iterator[IO[bytes]]:
        """The decompressed bytes from `start` on; a compressed file goes on from where this process left it.

        Raises:
            InputError: as for `open`.
        """
        if self.compression is None:
            with self.open() as handle:
                move_to(handle, start)
                yield handle
            return
        with self.named(), resumed(self.content(), start, self._forward) as stream:
            stream.move_to(start)
            buffered = io.BufferedReader(stream, _BUFFER)
            try:
                yield buffered
            finally:
                if not stream.closed:
                    buffered.detach()

    def content(self, *more: Hashable) -> tuple[Hashable, ...]:
        """Equal for equal content of the file, as it is now, and `more` that is equal.

        Raises:
            InputError: the file system does not answer.
        """
        return self.url, self.compression, *source_stamp(self), *more

    def _forward(self) -> ForwardBytes:
        return ForwardBytes(open_decompressed(self.url, self.compression))

    @contextmanager
    def named(self) -> Iterator[None]:
        """Around reading.

        Raises:
            InputError: for every error that is none of this project's, with the file's name.
        """
        try:
            yield
        except MemoError:
            raise
        except Exception as error:  # each codec and file system has its own class of error
            what = self.compression or self.format
            raise InputError(
                f"{self.name} cannot be read as {what}: {error}. Is it whole? Replace it or leave it out"
            ) from error

    def read(self, start: int, stop: int) -> bytes:
        """The decompressed bytes [start, stop).

        Raises:
            InputError: the file cannot be read, or ends before `stop`.
        """
        with self.open_at(start) as handle:
            parts, missing = [], stop - start
            while missing > 0 and (chunk := handle.read(missing)):
                parts.append(chunk)
                missing -= len(chunk)
        if missing > 0:
            raise InputError(f"{self.name} became shorter while it was read; keep the corpus unchanged during a build")
        return b"".join(parts)

    def has_no_bytes(self) -> bool:
        """Whether the file itself, before any decompression, is empty."""
        with open_decompressed(self.url, None) as handle:
            return not handle.read(1)


def source_stamp(source: Source) -> list[str | int]:
    """What changes when a source's file does: its bytes, and when it was written or its entity tag.

    Raises:
        InputError: the file system does not answer.
    """
    try:
        if not source.is_remote:
            facts = os.stat(source.url)
            return [facts.st_size, str(facts.st_mtime_ns)]
        import fsspec

        system, path = fsspec.core.url_to_fs(source.url)
        known = system.info(path)
    except Exception as error:  # every file system raises its own classes
        raise InputError(f"{source.name} cannot be looked at: {error}") from error
    mark = next((known[name] for name in ("ETag", "etag", "mtime", "LastModified", "updated") if known.get(name)), "")
    return [known.get("size") or 0, str(mark)]
