"""JSON lines: each line is an object with a document's text in one field.

Covers: .jsonl .ndjson .json; lines by the byte at which they begin, how long they are, surrogates that JSON spells.
Does not cover: the UTF-8 policy (reading.py), JSON that is not in lines, which is refused.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO

import numpy as np

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from pipelines.compression import estimated_bytes
from pipelines.formats.fields import field_of
from pipelines.formats.protocol import ByBytes, Forward, Measured
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source, source_stamp
from pipelines.splits import OPEN, Marks, Span

MAX_LINE = 1 << 26  # bytes; longer documents belong in files of their own
_STEP = 1 << 16  # bytes of a line at a time, and of a run of lines at most
_LEAST_STEP = 1 << 10
_MISSING = object()  # a field
_SURROGATE = re.compile("[\ud800-\udfff]")
_REMEDY = (
    "Each line is to be one object; `jq -c` makes lines of JSON that is spread over lines, `jq -c '.[]'` of an array. "
    "A file that is no part of the corpus is left out by --exclude"
)


class JsonlFormat(ByBytes):
    """A document's id is a field of the line, else "file@byte" of the line's beginning. Blank lines are passed over."""

    name = "jsonl"
    suffixes: tuple[str, ...] = (".jsonl", ".ndjson", ".json")
    content = "text"
    one_document = False

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """As for all files by bytes; of a file that has to be read through, also where its lines lie.

        Raises:
            InputError: also where a line is longer than MAX_LINE, of a file that is read through, and where a .json
                file begins with something that is no object on a line of its own.
        """
        _require_lines_of_json(source)
        if source.compression is None:
            return super().measure(source, text_key=text_key, limit=limit)
        with source.open() as handle:
            places = list(_line_starts(handle, source))
        measured = super().measured(source, places[-1])
        return replace(measured, marks=Marks(np.array(places), np.diff(places)))

    def sampled(self, source: Source) -> Span | None:
        """A compressed file of more than some megabytes, the end of which nobody knows yet."""
        if source.compression is None:
            return None
        _require_lines_of_json(source)
        with source.named():
            stored = int(source_stamp(source)[0])
            size, exact = estimated_bytes(source.url, source.compression, stored)
        return None if exact else Span(replace(source, size=size), 0, OPEN, bytes=size)

    @contextmanager
    def forward(self, source: Source) -> Iterator[Forward]:
        with source.open() as handle:
            yield _Lines(handle, source)

    def first_documents(self, span: Span, count: int) -> tuple[Span, int]:
        taken = stop = 0
        with span.source.open() as handle:
            while taken < count and (line := _line(handle, span.source, stop)):
                stop += len(line)
                taken += bool(line.strip())
        return replace(span, stop=stop), taken

    def parts(self, span: Span, *, target: int, errors: str) -> list[Span]:
        """A part has the bytes of the lines that begin in it, which may be many times its share."""
        parts = super().parts(span, target=target, errors=errors)
        if span.marks is not None:
            return [replace(part, bytes=span.marks.bytes_between(part.start, part.stop), marks=None) for part in parts]
        if span.source.is_remote:  # asking a server for every part takes longer than it is worth
            return parts
        with span.source.open() as handle:
            starts = [_start_from(handle, span.source, place) for place in [part.start for part in parts]]
        sizes = np.diff([*starts, max(span.stop, starts[-1])]).tolist()
        return [replace(part, bytes=size) for part, size in zip(parts, sizes, strict=True)]

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the lines that begin in the span."""
        return reading.whole_documents(_rows(span, reading), span.source, position_in="bytes")


def _require_lines_of_json(source: Source) -> None:
    """Look at a file that is called .json."""
    if PurePosixPath(source.name.removesuffix(_ending(source))).suffix == ".json":
        _require_lines(source)


def _ending(source: Source) -> str:
    """Of a compressed file's name; "" of others."""
    return PurePosixPath(source.name).suffix if source.compression else ""


def _require_lines(source: Source) -> None:
    """Refuse JSON that is not in lines, before the corpus is read: most files of this ending are one document."""
    with source.open() as handle:
        head = handle.read(_STEP)
    first, _, more = head.lstrip().partition(b"\n")
    if not first:
        return
    try:
        if not first.startswith(b"{"):
            raise ValueError(f"it begins with {first[:1].decode(errors='replace')!r}")
        if more or len(head) < _STEP:
            parse_json(first.decode(errors="replace"))
    except ValueError as error:
        raise InputError(f"{source.name} does not hold an object on each line ({error}). {_REMEDY}") from error


def _line(handle: IO[bytes], source: Source, offset: int) -> bytes:
    """The line that begins at byte `offset`, where the handle is; b"" at the end.

    Raises:
        InputError: it is longer than MAX_LINE.
    """
    line = handle.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise _too_long(source, f"that begins at byte {offset}")
    return line


def _too_long(source: Source, which: str) -> InputError:
    return InputError(
        f"{source.name}: the line {which} is longer than {MAX_LINE:,} bytes; make it a text file of its own. {_REMEDY}"
    )


def _rest_of_line(handle: IO[bytes], source: Source, offset: int) -> int:
    """Pass over what is left of a line, at byte `offset`; its bytes, of which a piece at a time is in memory.

    Raises:
        InputError: it is more than MAX_LINE.
    """
    passed = 0
    while piece := handle.readline(_STEP):
        passed += len(piece)
        if passed > MAX_LINE:
            raise _too_long(source, f"at byte {offset}")
        if piece.endswith(b"\n"):
            break
    return passed


def _start_from(handle: IO[bytes], source: Source, place: int) -> int:
    """Where the first line begins at or behind a place of a file that can seek; its end if none does."""
    if not place:
        return 0
    handle.seek(place - 1)
    return place - 1 + _rest_of_line(handle, source, place - 1)


def _line_starts(handle: IO[bytes], source: Source) -> Iterator[int]:
    """0, where a line begins every now and then, and the end of a file that is read through.

    Raises:
        InputError: a line is longer than MAX_LINE.
    """
    place = 0
    yield place
    while piece := handle.read(min(_STEP, max(_LEAST_STEP, place >> 12))):
        place += len(piece)
        if not piece.endswith(b"\n"):
            place += _rest_of_line(handle, source, place - len(piece) + piece.rfind(b"\n") + 1)
        yield place


class _Lines:
    """The lines of a file from where its handle is, at byte `offset`, read forward."""

    def __init__(self, handle: IO[bytes], source: Source, offset: int = 0) -> None:
        self._handle, self._source, self._offset, self.ended = handle, source, offset, False

    def passages(self, stop: int, reading: Reading) -> Iterator[Passage]:
        return reading.whole_documents(self.rows(stop, reading), self._source, position_in="bytes")

    def pass_over(self, stop: int) -> None:
        while self._offset < stop and self._next():
            pass

    def pass_rest(self) -> None:
        """Pass over what is left of the line in which the handle is."""
        self._offset += _rest_of_line(self._handle, self._source, self._offset)

    def rows(self, stop: int, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
        """Id, text and place of the lines that begin before `stop`."""
        source = self._source
        while (start := self._offset) < stop and (line := self._next()):
            reading.content.update(line)
            reading.consumed += len(line)
            if not line.strip():
                continue
            place = f"{source.name}@{start}"
            text = reading.decoded(place, line, source)
            del line  # of a long row there are several copies otherwise
            if text is None:
                continue
            try:
                row = _parsed(text, place, reading=reading)
            except InputError as error:
                if reading.errors != "skip":
                    raise
                reading.leave_out(place, str(error))
                continue
            del text
            yield *row, start

    def _next(self) -> bytes:
        line = _line(self._handle, self._source, self._offset)
        self._offset += len(line)
        self.ended = not line
        return line


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
    offset = max(0, span.start - 1)
    with span.source.open_at(offset) as handle:
        lines = _Lines(handle, span.source, offset)
        if span.start:
            lines.pass_rest()  # the line that began before this span
        yield from lines.rows(span.stop, reading)


def _parsed(text: str, place: str, *, reading: Reading) -> tuple[str, bytes]:
    """Id and text of one line; a text that is null is an empty one."""
    try:
        row = parse_json(text)
    except ValueError as error:
        raise InputError(f"{place}: the line that begins there is not JSON ({error}). {_REMEDY}") from error
    found = field_of(row, reading.text_key, _MISSING) if isinstance(row, dict) else _MISSING
    if isinstance(row, dict) and found is None:
        return row_id(field_of(row, reading.id_key), place), b""
    if not isinstance(row, dict) or not isinstance(found, str):
        got = f"the fields {sorted(row)}" if isinstance(row, dict) else f"a {type(row).__name__}"
        remedy = "Name the field with --text-key, or leave the file out by --exclude"
        raise InputError(
            f"{place}: expected an object with the text in {reading.text_key!r}, found {got}. "
            f"{remedy if isinstance(row, dict) else _REMEDY}"
        )
    return row_id(field_of(row, reading.id_key), place), text_bytes(found)


def text_bytes(text: str) -> bytes:
    """A surrogate that JSON spells alone becomes a byte that is not UTF-8, so the policy decides on it."""
    return b"\xff".join(part.encode() for part in _SURROGATE.split(text))
