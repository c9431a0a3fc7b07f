"""JSON lines: each line is an object with a document's text in one field.

Covers: .jsonl; lines by the byte at which they begin, surrogates that JSON spells. Does not cover: the UTF-8 policy
(reading.py).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from memo_dist.errors import InputError
from pipelines.compression import move_to
from pipelines.formats.protocol import ByBytes
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source
from pipelines.units import Span

MAX_LINE = 1 << 26  # bytes; longer documents belong in files of their own
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonlFormat(ByBytes):
    """A document's id is a field of the line, else "file@byte" of the line's beginning. Blank lines are passed over."""

    name = "jsonl"
    suffixes: tuple[str, ...] = (".jsonl",)
    content = "text"
    one_document = False

    def first_documents(self, span: Span, count: int) -> tuple[Span, int]:
        taken = stop = 0
        with span.source.open() as handle:
            while taken < count and (line := handle.readline()):
                stop += len(line)
                taken += bool(line.strip())
        return replace(span, stop=stop), taken

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the lines that begin in the span."""
        return reading.whole_documents(_rows(span, reading), span.source)


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes]]:
    source = span.source
    with source.open() as handle:
        offset = max(0, span.start - 1)
        move_to(handle, offset)
        if span.start:
            offset += len(handle.readline())  # the line that began before this span
        while offset < span.stop:
            line = handle.readline(MAX_LINE + 1)
            if not line:
                break
            if len(line) > MAX_LINE:
                raise InputError(f"{source.name}: the line at byte {offset} is longer than {MAX_LINE:,} bytes")
            reading.content.update(line)
            reading.consumed += len(line)
            if line.strip():
                row = _parsed(line, source, offset, reading=reading)
                if row is not None:
                    yield row
            offset += len(line)


def _parsed(line: bytes, source: Source, offset: int, *, reading: Reading) -> tuple[str, bytes] | None:
    """Id and text of one line; None for a line to leave out."""
    place = f"{source.name}@{offset}"
    text = reading.decoded(place, line, source)
    if text is None:
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: the line that begins at byte {offset} is not JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get(reading.text_key), str):
        got = f"the fields {sorted(row)}" if isinstance(row, dict) else f"a {type(row).__name__}"
        raise InputError(
            f"{place}: expected an object with the text in {reading.text_key!r}, found {got}; "
            "name the field with --text-key"
        )
    # a surrogate that JSON spells alone becomes a byte that is not UTF-8, so the policy decides on it
    data = b"\xff".join(part.encode() for part in _SURROGATE.split(row[reading.text_key]))
    return row_id(row.get(reading.id_key), place), data
