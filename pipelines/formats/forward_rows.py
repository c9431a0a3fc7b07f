"""Forward rows: formats whose rows can only be found by reading the file from its front.

Covers: measuring such a file, reading ranges of its rows, reading it as a stream; rows that cannot be read. Does not
cover: what a row is and what of it is text (csv.py).

A row's bytes are those of the file from where the row before it ends. So a file of known length is a stream without
being measured, and what lies between texts, such as pictures, is counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import pyarrow as pa

from memo_dist.errors import InputError
from pipelines.compression import estimated_bytes
from pipelines.formats.batch_rows import Runs
from pipelines.formats.protocol import ByRows, Forward, Measured
from pipelines.forward import resumed
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source, source_stamp
from pipelines.splits import OPEN, Span

MAX_ROW = 1 << 26  # bytes; longer documents belong in files of their own
_LEAST_STREAM = 1 << 20  # bytes of a file; a smaller one is measured, so that several tasks may share it
_TOGETHER = 1 << 10  # rows whose bytes are added up in one call


class BrokenRowError(Exception):
    """Why one row of a file cannot be read, in words that follow its place."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        size: bytes of the file from the end of the row before to its own.
        content: what the format makes a document of, or finds that it cannot.
    """

    size: int
    content: Any


class ForwardRows(ByRows, ABC):
    """Spans are ranges of rows; a document's id is what its row says, else "file#row", the first row being 0."""

    name: str
    compressible = True

    @abstractmethod
    def rows(self, handle: IO[bytes], source: Source) -> Iterator[Row]:
        """The rows of a file from its front to its end, a few of them in memory.

        Raises:
            InputError: the file cannot be read further; it is named.
        """

    @abstractmethod
    def document(self, row: Row, source: Source, reading: Reading) -> tuple[object, bytes]:
        """Id and text of a row; None for an id that the row does not say.

        Raises:
            InputError: no row of the file can be read this way.
            BrokenRowError: this one cannot.
        """

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """The rows of the file, or its first `limit`, and their bytes.

        Raises:
            InputError: also for a compressed file of no bytes, the trace of a failed download.
        """
        del text_key
        runs, sizes, rows = Runs(), list[int](), 0
        with source.open() as handle:
            for row in self.rows(handle, source):
                sizes.append(row.size)
                rows += 1
                if len(sizes) == _TOGETHER:
                    runs.add(pa.array(sizes))
                    sizes = []
                if rows == limit:
                    break
            runs.add(pa.array(sizes, pa.int64()))
        if not rows and source.compression and source.has_no_bytes():
            raise InputError(f"{source.name} has no bytes, so it is no {source.compression} file; replace it")
        return Measured(replace(source, size=max(runs.size, rows), rows=rows), marks=runs.marks())

    def sampled(self, source: Source) -> Span | None:
        """A file of more than a megabyte; of compressed ones with the bytes that its beginning lets expect."""
        with source.named():
            size, exact = int(source_stamp(source)[0]), False
            if source.compression is not None:
                size, exact = estimated_bytes(source.url, source.compression, size)
        if exact or size < _LEAST_STREAM:
            return None
        return Span(replace(source, size=size), 0, OPEN, bytes=size)

    @contextmanager
    def forward(self, source: Source) -> Iterator[Forward]:
        stream = _Stream(self, source)
        try:
            yield stream
        finally:
            stream.close()

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span."""
        return reading.whole_documents(self._documents(span, reading), span.source, position_in="rows")

    def _documents(self, span: Span, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
        source = span.source
        key = source.content(self.name)
        with source.named(), resumed(key, span.start, lambda: _Stream(self, source)) as stream:
            stream.pass_rows(span.start)
            while stream.place < span.stop and (row := stream.next(reading)) is not None:
                yield from _document_of(self, row, stream.place - 1, source=source, reading=reading)
            if stream.place < span.stop < OPEN:
                raise InputError(
                    f"{source.name} became shorter while it was read; keep the corpus unchanged during a build"
                )


class _Stream:
    """The rows of a file, read forward.

    Attributes:
        place: the number of the next row.
        ended: whether the end of the file was read.
    """

    def __init__(self, format_: ForwardRows, source: Source) -> None:
        self._format, self._source = format_, source
        self._opened = source.open()
        self._rows = format_.rows(self._opened.__enter__(), source)
        self.place, self.ended, self._offset = 0, False, 0

    @property
    def first(self) -> int:
        """The next row is the first that can be read."""
        return self.place

    def next(self, reading: Reading | None = None) -> Row | None:
        """The next row; None at the end, where what is no row, such as a header, is counted as read."""
        row = next(self._rows, None)
        if row is None:
            if reading is not None and not self.ended and self._source.compression is None:
                reading.consumed += max(0, self._source.size - self._offset)
            self.ended = True
            return None
        self.place += 1
        self._offset += row.size
        return row

    def pass_rows(self, start: int) -> None:
        """Go on to row `start`, or to the end."""
        while self.place < start and self.next() is not None:
            pass

    def passages(self, stop: int, reading: Reading) -> Iterator[Passage]:
        """The passages of the rows that begin before byte `stop`, from where the part before ended."""
        return reading.whole_documents(self._documents(stop, reading), self._source, position_in="rows")

    def _documents(self, stop: int, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
        while self._offset < stop and (row := self.next(reading)) is not None:
            yield from _document_of(self._format, row, self.place - 1, source=self._source, reading=reading)

    def pass_over(self, stop: int) -> None:
        """Go on to the first row that begins at or behind byte `stop`."""
        while self._offset < stop and self.next() is not None:
            pass

    def close(self) -> None:
        """Close the file."""
        self._rows = iter(())
        self._opened.__exit__(None, None, None)


def _document_of(
    format_: ForwardRows, row: Row, number: int, *, source: Source, reading: Reading
) -> Iterator[tuple[str, bytes, int]]:
    """Id, text and place of a row; nothing of one that is left out.

    Raises:
        InputError: it cannot be read, and the policy is not to skip such rows.
    """
    reading.consumed += row.size
    try:
        name, data = format_.document(row, source, reading)
    except BrokenRowError as error:
        place = f"{source.name}#{number}"
        if reading.errors != "skip":
            raise InputError(
                f"{place}: {error}. Mend it, leave such rows out with --errors skip, or the file with --exclude"
            ) from error
        reading.leave_out(place, str(error))
        return
    reading.content.update(data)
    yield row_id(name, f"{source.name}#{number}"), data, number
