"""Format: what the pipelines ask of one format of files.

Covers: the protocol, what measuring gives, and the two ways in which formats are cut: by bytes and by rows. Does not
cover: the formats themselves (one file for each), how texts are decoded (reading.py).
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from memo_dist.errors import InputError
from pipelines.compression import count_bytes
from pipelines.pieces import multiple_below
from pipelines.reading import Passage, Reading
from pipelines.sources import Source
from pipelines.splits import Marks, Span


@dataclass(frozen=True)
class Measured:
    """What measuring a source found.

    Attributes:
        source: with its size and rows.
        tokens: number of token ids, of a format of token ids; None for text.
        documents: number of documents that are not empty, of a format of token ids; None for text.
        vocab_size: the highest token id and one, of a format of token ids; None for text.
        marks: how the bytes of its documents lie, of a format whose measuring reads documents; else None.
    """

    source: Source
    tokens: int | None = None
    documents: int | None = None
    vocab_size: int | None = None
    marks: Marks | None = field(default=None, compare=False, repr=False)


class Format(Protocol):
    """One format of files: how a file of it is measured, cut and read.

    Attributes:
        name: part of the ids of batches, so it never changes.
        suffixes: the endings of files of this format; none for one that is chosen by a flag.
        content: "text", or "token ids" for documents that are tokenized already.
        compressible: whether such a file may also be compressed as a whole.
        one_document: whether a file is one document; else each row is one.
    """

    name: str
    suffixes: tuple[str, ...]
    content: str
    compressible: bool
    one_document: bool

    def measuring_reads(self, source: Source) -> bool:
        """Whether `measure` reads through the file; else it only asks for its size."""

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """The same source with its size and rows, in the sense of `Source`.

        Args:
            text_key: the field of a row that holds the text.
            limit: the most documents that are wanted; a format whose measuring reads documents reads no more, and
                gives the size of those only.

        Raises:
            InputError: the file is broken; it is named.
        """

    def sampled(self, source: Source) -> Span | None:
        """All of a source whose size is not asked for, as it would have to be read through, with about the bytes that
        its beginning lets expect; None where it is to be measured. Such a span is read forward (`forward`)."""

    def forward(self, source: Source) -> AbstractContextManager["Forward"]:
        """A source that `sampled` takes, opened to be read once, part by part."""

    def whole(self, measured: Measured) -> Span:
        """All of a measured source."""

    def first_documents(self, span: Span, count: int) -> tuple[Span, int]:
        """The beginning of a whole span that holds its first `count` documents, and how many documents it does hold."""

    def span_bytes(self, span: Span) -> int:
        """Bytes of a span's documents, in the units of `Source.size`."""

    def parts(self, span: Span, *, target: int, errors: str) -> list[Span]:
        """A span cut into spans of about `target` bytes each, which together hold its documents, in order.

        Args:
            errors: the UTF-8 policy, for a format that must decide on a document which several spans share.
        """

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The passages of a span, in order; what is found on the way is counted in `reading`.

        Raises:
            InputError: a document cannot be read; the file and the place are named.
        """


class Forward(Protocol):
    """A source that is read forward, a part of its one span after the other.

    Attributes:
        ended: whether its end was read.
    """

    @property
    def ended(self) -> bool: ...

    def passages(self, stop: int, reading: Reading) -> Iterator[Passage]:
        """The passages of the documents that begin before `stop`, from where the part before ended."""
        ...

    def pass_over(self, stop: int) -> None:
        """Go on to the first document that begins at or behind `stop`."""
        ...


class NotForward:
    """Formats that measure every source."""

    def sampled(self, source: Source) -> Span | None:
        del source
        return None

    def forward(self, source: Source) -> AbstractContextManager[Forward]:
        raise NotImplementedError(f"{source.name} is read by spans")


class ByBytes(NotForward):
    """Formats whose spans are ranges of bytes of the decompressed file."""

    compressible = True

    def measuring_reads(self, source: Source) -> bool:
        return source.compression is not None

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        del text_key, limit
        with source.open() as handle:
            size = handle.seek(0, os.SEEK_END) if source.compression is None else count_bytes(handle)
        return self.measured(source, size)

    def measured(self, source: Source, size: int) -> Measured:
        """What a file of so many bytes is.

        Raises:
            InputError: it is compressed, and has no bytes before that.
        """
        if source.compression and not size and source.has_no_bytes():
            # gzip takes a file of no bytes for an empty text; it is the trace of a failed download
            raise InputError(f"{source.name} has no bytes, so it is no {source.compression} file; replace it")
        return Measured(replace(source, size=size))

    def whole(self, measured: Measured) -> Span:
        return Span(measured.source, 0, measured.source.size, marks=measured.marks)

    def span_bytes(self, span: Span) -> int:
        return span.stop - span.start if span.bytes is None else span.bytes

    def parts(self, span: Span, *, target: int, errors: str) -> list[Span]:
        del errors
        return steps(span, multiple_below(target))


class ByRows(NotForward):
    """Formats whose spans are ranges of rows; without marks, a row's bytes are its even share of the file's size."""

    compressible = False
    one_document = False

    def measuring_reads(self, source: Source) -> bool:
        del source
        return True

    def whole(self, measured: Measured) -> Span:
        return Span(measured.source, 0, measured.source.rows, marks=measured.marks)

    def first_documents(self, span: Span, count: int) -> tuple[Span, int]:
        taken = min(span.stop, count)
        return replace(span, stop=taken), taken

    def span_bytes(self, span: Span) -> int:
        if span.bytes is not None:
            return span.bytes
        if span.marks is None:
            return span.source.size * (span.stop - span.start) // max(span.source.rows, 1)
        return max(span.marks.bytes_between(span.start, span.stop), span.stop - span.start)

    def parts(self, span: Span, *, target: int, errors: str) -> list[Span]:
        del errors
        if span.marks is None:
            return steps(span, max(1, (span.stop - span.start) * target // self.span_bytes(span)))
        cuts = itertools.pairwise(span.marks.even(span.start, span.stop, target=target))
        parts = [replace(span, start=start, stop=stop) for start, stop in cuts]
        return [replace(part, bytes=self.span_bytes(part), marks=None) for part in parts]


def steps(span: Span, length: int) -> list[Span]:
    """A span in spans of `length` bytes or rows, the last perhaps shorter."""
    return [
        replace(span, start=start, stop=min(span.stop, start + length))
        for start in range(span.start, span.stop, length)
    ]
