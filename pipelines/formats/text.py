"""Text files: one file is one document.

Covers: .txt .md .rst .py; spans that share a document, and the UTF-8 policy for them. Does not cover: where a text is
cut into pieces (pieces.py).
"""

import codecs
from collections.abc import Iterator
from dataclasses import replace

from memo_dist.errors import InputError
from pipelines import pieces
from pipelines.formats.protocol import ByBytes
from pipelines.reading import Passage, Reading
from pipelines.sources import Source
from pipelines.units import Span


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
            reading.skipped += span.start == 0
            return
        data = source.read(span.start, min(source.size, span.stop + pieces.SLACK))
        cuts = pieces.piece_cuts(data, span.start, source.size)
        begin = next((cut for cut in cuts if cut >= span.start), source.size) if span.start else 0
        end = next((cut for cut in cuts if cut >= span.stop), source.size) if span.stop < source.size else source.size
        if begin >= end:
            return
        owned = data[begin - span.start : end - span.start]
        reading.content.update(owned)
        if span.whole_utf8:
            if reading.decoded(source.name, owned, source) is None:
                return
        else:  # known from the plan: counted once for all its spans
            reading.replaced += begin == 0
        edges = [edge - begin for edge in [begin, *(cut for cut in cuts if begin < cut < end), end]]
        texts = pieces.texts_between(owned, edges, "replace")
        yield Passage(source.name, begin, texts, ends=end == source.size, source=source)


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
