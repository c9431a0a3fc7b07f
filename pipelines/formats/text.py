"""Text files: one file is one document.

Covers: .txt .md .rst .py; spans that share a document, and the UTF-8 policy for them. Does not cover: where a text is
cut into pieces (pieces.py).
"""

import codecs
from collections.abc import Iterator
from dataclasses import replace

from memo_dist.errors import InputError
from memo_dist.segments import Origin
from pipelines import pieces
from pipelines.formats.protocol import ByBytes
from pipelines.long_text import LongText
from pipelines.reading import Passage, Reading
from pipelines.sources import Source
from pipelines.splits import Span


class TextFormat(ByBytes):
    """A document's id is the file's name; its text is the file, to the byte."""

    name = "text"
    suffixes: tuple[str, ...] = (".txt", ".md", ".rst", ".py")
    content = "text"
    one_document = True

    def first_documents(self, span: Span, count: int) -> tuple[Span, int]:
        del count
        return span, int(span.source.size > 0)

    def parts(self, span: Span, *, target: int, errors: str) -> list[Span]:
        if errors != "strict":  # else the first invalid byte of any span ends the run
            span = replace(span, whole_utf8=_is_utf8(span.source))
        return super().parts(span, target=target, errors=errors)

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """At most one passage: the pieces that begin in the span."""
        source = span.source
        if not source.size:
            reading.empty += 1
            return
        reading.consumed += span.stop - span.start
        if not span.whole_utf8 and reading.errors == "skip":
            if not span.start:  # counted once for all its spans
                reading.leave_out(source.name, "not valid UTF-8")
            return
        text = _around(span)
        first, last = span.start // pieces.PIECE, pieces.piece_count(span.stop)
        begin, end = text.edge(first), text.edge(last)
        if begin >= end:
            return
        owned = text.between(begin, end)
        reading.content.update(owned)
        if span.whole_utf8:
            if reading.decoded(source.name, owned, source) is None:
                return
        else:  # known from the plan: counted once for all its spans
            reading.replaced += begin == 0
        yield Passage(source.name, text, first, last, origin=Origin(source.name))


def _around(span: Span) -> LongText:
    """The text of a span's file, with what the joining of its pieces will nearly always read: the piece before it, and
    a little text on both sides."""
    margin = pieces.SLACK + (pieces.PIECE >> 5)
    first = max(0, span.start - pieces.PIECE - margin) if span.start else 0
    stop = min(span.source.size, span.stop + margin)
    return LongText(span.source.size, span.source.read(first, stop), first, span.source)


def _is_utf8(source: Source) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with source.open() as handle:
            while chunk := handle.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except InputError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            return False
        raise
    return True
