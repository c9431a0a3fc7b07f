"""Reading: spans of sources -> passages of text.

Covers: text files, jsonl and parquet rows, byte ranges, UTF-8 policy, the canonical cut of long texts into pieces.
Does not cover: tokens (tokenizing.py).

A text longer than PIECE bytes is tokenized piece by piece, cut at the first line end after each multiple of PIECE (or
the first character boundary where no line ends within 4 KiB). Cuts depend on the text alone, so a document has the same
tokens in whatever file, unit or format it comes.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.errors import InputError
from pipelines.sources import Source

PIECE = 1 << 18
_SLACK = 1 << 12  # how far a cut may move to meet a line end
MAX_ROW = 1 << 26  # bytes of one jsonl line or row; longer documents belong in files of their own
ERROR_POLICIES = ("strict", "replace", "skip")


@dataclass(frozen=True)
class Span:
    """Part of a source: bytes [start, stop) for text (multiples of PIECE) and jsonl (lines that begin there), rows for
    parquet. `whole_utf8` is False for a document to be skipped because some of it, elsewhere, is not UTF-8."""

    source: Source
    start: int
    stop: int
    whole_utf8: bool = True

    def describe(self) -> str:
        unit = "rows" if self.source.format == "parquet" else "bytes"
        return f"{self.source.name} {unit} {self.start}-{self.stop}"


@dataclass(frozen=True)
class Passage:
    """Consecutive pieces of one document; `before` holds the piece or pieces that precede them."""

    document_id: str
    start: int
    pieces: list[str]
    ends: bool
    before: list[str] = field(default_factory=list)


@dataclass
class Reading:
    """How to read, and what reading found.

    Attributes:
        errors: strict (an invalid document is an error), replace (by U+FFFD) or skip (the document).
        text_key, id_key: the fields of a row. Without the id key in a row, its place is its id.
    """

    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    skipped: int = 0
    replaced: int = 0
    empty: int = 0
    content: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def passages(self, span: Span) -> Iterator[Passage]:
        """The passages of a span, in order. Empty documents are counted and left out.

        Raises:
            InputError: naming the document and the place.
        """
        if span.source.format == "text":
            yield from self._text(span)
            return
        rows = self._jsonl(span) if span.source.format == "jsonl" else self._parquet(span)
        for document_id, text in rows:
            try:
                data = text.encode()
            except UnicodeEncodeError as error:  # a lone surrogate, which JSON can spell
                replaced = self._invalid(document_id, error, text.encode(errors="replace"))
                if replaced is None:
                    continue
                data = replaced
            if not data:
                self.empty += 1
                continue
            cuts = [0, *piece_cuts(data, 0, len(data)), len(data)]
            yield Passage(document_id, 0, [data[a:b].decode() for a, b in itertools.pairwise(cuts)], True)

    def _invalid(self, document_id: str, error: UnicodeError, replaced: bytes) -> bytes | None:
        if self.errors == "strict":
            raise InputError(
                f"document {document_id} is not valid UTF-8 ({error}); convert it, or choose --errors replace or skip"
            )
        if self.errors == "skip":
            self.skipped += 1
            return None
        self.replaced += 1
        return replaced

    def _text(self, span: Span) -> Iterator[Passage]:
        source = span.source
        if not source.size:
            self.empty += 1
            return
        if not span.whole_utf8:
            self.skipped += span.start == 0
            return
        first = max(0, span.start - PIECE)
        last = min(source.size, span.stop + _SLACK)
        with source.open() as handle:
            data = _read_range(handle, first, last)
        if len(data) != last - first:
            raise InputError(
                f"{source.name} became shorter while it was read; keep the corpus unchanged during a build"
            )
        cuts = piece_cuts(data, first, source.size)
        begin = next((c for c in cuts if c >= span.start), source.size) if span.start else 0
        end = next((c for c in cuts if c >= span.stop), source.size) if span.stop < source.size else source.size
        if begin >= end:
            return
        inner = [begin, *(c for c in cuts if begin < c < end), end]
        owned = data[begin - first : end - first]
        self.content.update(owned)
        try:
            pieces = [data[a - first : b - first].decode() for a, b in itertools.pairwise(inner)]
        except UnicodeDecodeError as error:
            if self._invalid(source.name, error, b"") is None:
                return
            pieces = [data[a - first : b - first].decode(errors="replace") for a, b in itertools.pairwise(inner)]
        previous = max((c for c in cuts if c < begin), default=0)
        before = [data[max(0, previous - first) : begin - first].decode(errors="replace")] if begin else []
        yield Passage(source.name, begin, pieces, end == source.size, before)

    def _jsonl(self, span: Span) -> Iterator[tuple[str, str]]:
        source = span.source
        with source.open() as handle:
            at = max(0, span.start - 1)
            _skip(handle, at)
            if span.start:
                at += len(handle.readline())  # the line that began before this span
            while at < span.stop:
                line = handle.readline(MAX_ROW + 1)
                if not line:
                    break
                place, at = at, at + len(line)
                if len(line) > MAX_ROW:
                    raise InputError(f"{source.name}: the line at byte {place} is longer than {MAX_ROW:,} bytes")
                self.content.update(line)
                if line.strip():
                    row = self._parse(line, source, place)
                    if row is not None:
                        yield row

    def _parse(self, line: bytes, source: Source, place: int) -> tuple[str, str] | None:
        where = f"{source.name}@{place}"
        try:
            text_line = line.decode()
        except UnicodeDecodeError as error:
            replaced = self._invalid(where, error, line.decode(errors="replace").encode())
            if replaced is None:
                return None
            text_line = replaced.decode()
        try:
            row = json.loads(text_line)
        except ValueError as error:
            raise InputError(f"{where}: the line that begins at byte {place} is not JSON ({error})") from error
        if not isinstance(row, dict) or not isinstance(row.get(self.text_key), str):
            found = f"the fields {sorted(row)}" if isinstance(row, dict) else f"a {type(row).__name__}"
            raise InputError(
                f"{where}: expected an object with the text in {self.text_key!r}, found {found}; "
                "name the field with --text-key"
            )
        return str(row.get(self.id_key, where)), row[self.text_key]

    def _parquet(self, span: Span) -> Iterator[tuple[str, str]]:
        source = span.source
        with source.open() as handle, pq.ParquetFile(handle) as file:
            names = file.schema_arrow.names
            if self.text_key not in names:
                raise InputError(
                    f"{source.name}: expected a column {self.text_key!r}, found {names}; name it with --text-key"
                )
            kind = file.schema_arrow.field(self.text_key).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise InputError(f"{source.name}: column {self.text_key!r} is {kind}; expected strings")
            columns = [self.text_key, *([self.id_key] if self.id_key in names else [])]
            at = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if at < span.stop and at + rows > span.start:
                    table = file.read_row_group(group, columns)
                    table = table.slice(max(0, span.start - at), min(rows, span.stop - at) - max(0, span.start - at))
                    for offset, row in enumerate(table.to_pylist()):
                        place = max(at, span.start) + offset
                        text = row[self.text_key] or ""
                        self.content.update(text.encode(errors="replace"))
                        yield str(row.get(self.id_key, f"{source.name}#{place}")), text
                at += rows


def piece_cuts(data: bytes, first: int, size: int) -> list[int]:
    """Where a text of `size` bytes is cut, as far as `data`, its bytes from offset `first`, shows."""
    cuts = []
    for nominal in range(-(-max(first, 1) // PIECE) * PIECE, min(size, first + len(data)), PIECE):
        window = data[nominal - first : nominal - first + _SLACK]
        line_end = window.find(b"\n")
        boundary = next((i for i, byte in enumerate(window[:4]) if byte & 0xC0 != 0x80), 0)
        cut = nominal + (line_end + 1 if line_end >= 0 else boundary)
        if 0 < cut < size:
            cuts.append(cut)
    return cuts


def _read_range(handle: IO[bytes], start: int, stop: int) -> bytes:
    _skip(handle, start)
    parts, left = [], stop - start
    while left > 0 and (chunk := handle.read(left)):
        parts.append(chunk)
        left -= len(chunk)
    return b"".join(parts)


def _skip(handle: IO[bytes], start: int) -> None:
    """Move to byte `start`; a compressed stream is read forward, since not every codec can seek."""
    try:
        handle.seek(start)
    except (OSError, ValueError, NotImplementedError):
        while start and (chunk := handle.read(min(start, 1 << 20))):
            start -= len(chunk)
