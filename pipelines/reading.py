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
import re
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
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Span:
    """Part of a source: bytes [start, stop) for text (multiples of PIECE) and jsonl (lines that begin there), rows for
    parquet. `whole_utf8` is False if the document is not UTF-8 somewhere, perhaps in another span."""

    source: Source
    start: int
    stop: int
    whole_utf8: bool = True

    def describe(self) -> str:
        unit = "rows" if self.source.rows else "bytes"
        return f"{self.source.name} {unit} {self.start}-{self.stop}"


@dataclass(frozen=True)
class Passage:
    """Consecutive pieces of one document, from byte `start` of its text; `source` where pieces precede them."""

    document_id: str
    start: int
    pieces: list[str]
    ends: bool
    source: Source | None = None


@dataclass
class Reading:
    """How to read, and what reading found.

    Attributes:
        errors: strict (an invalid document is an error), replace (by U+FFFD) or skip (the document).
        text_key, id_key: the fields of a row. Without the id key in a row, its place is its id.
        consumed: bytes of source read so far, in the units of CorpusPlan.text_bytes.
        content: hash of what was read.
    """

    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    skipped: int = 0
    replaced: int = 0
    empty: int = 0
    consumed: int = 0
    content: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def passages(self, span: Span) -> Iterator[Passage]:
        """The passages of a span, in order. Empty documents are counted and left out.

        Raises:
            InputError: naming the document and the place.
        """
        if span.source.format == "text":
            yield from self._text(span)
            return
        for document_id, data in self._jsonl(span) if span.source.format == "jsonl" else self._parquet(span):
            text = self._decoded(document_id, data)
            if text == "":
                self.empty += 1
            elif text is not None:
                valid = text.encode()
                yield Passage(document_id, 0, _pieces(valid, [0, *piece_cuts(valid, 0, len(valid)), len(valid)]), True)

    def preceding(self, passage: Passage, count: int) -> list[str]:
        """Up to `count` pieces of the document before a passage; fewer where the document begins."""
        if passage.source is None or not passage.start:
            return []
        first = max(0, (passage.start // PIECE - count - 1) * PIECE)
        data = _read(passage.source, first, passage.start)
        cuts = [c for c in piece_cuts(data, first, passage.source.size) if c < passage.start]
        edges = [*([0] if not first else []), *cuts, passage.start]
        return _pieces(data, [edge - first for edge in edges], "replace")[-count:]

    def _decoded(self, document_id: str, data: bytes) -> str | None:
        """Text by the error policy; None for a document to leave out."""
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if self.errors == "strict":
                raise InputError(
                    f"document {document_id} is not valid UTF-8 ({error}); convert it, or choose --errors replace or "
                    "skip"
                ) from error
            if self.errors == "skip":
                self.skipped += 1
                return None
            self.replaced += 1
            return data.decode(errors="replace")

    def _text(self, span: Span) -> Iterator[Passage]:
        source = span.source
        if not source.size:
            self.empty += 1
            return
        self.consumed += span.stop - span.start
        if not span.whole_utf8 and self.errors == "skip":
            self.skipped += span.start == 0
            return
        first, last = max(0, span.start), min(source.size, span.stop + _SLACK)
        data = _read(source, first, last)
        cuts = piece_cuts(data, first, source.size)
        begin = next((c for c in cuts if c >= span.start), source.size) if span.start else 0
        end = next((c for c in cuts if c >= span.stop), source.size) if span.stop < source.size else source.size
        if begin >= end:
            return
        owned = data[begin - first : end - first]
        self.content.update(owned)
        edges = [edge - begin for edge in [begin, *(c for c in cuts if begin < c < end), end]]
        if span.whole_utf8:
            if self._decoded(source.name, owned) is None:
                return
        else:  # known from the plan: counted once for all its spans
            self.replaced += begin == 0
        yield Passage(source.name, begin, _pieces(owned, edges, "replace"), end == source.size, source)

    def _jsonl(self, span: Span) -> Iterator[tuple[str, bytes]]:
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
                self.consumed += len(line)
                if line.strip():
                    row = self._parse(line, source, place)
                    if row is not None:
                        yield row

    def _parse(self, line: bytes, source: Source, place: int) -> tuple[str, bytes] | None:
        where = f"{source.name}@{place}"
        text = self._decoded(where, line)
        if text is None:
            return None
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: the line that begins at byte {place} is not JSON ({error})") from error
        if not isinstance(row, dict) or not isinstance(row.get(self.text_key), str):
            found = f"the fields {sorted(row)}" if isinstance(row, dict) else f"a {type(row).__name__}"
            raise InputError(
                f"{where}: expected an object with the text in {self.text_key!r}, found {found}; "
                "name the field with --text-key"
            )
        # a surrogate that JSON spells alone becomes a byte that is not UTF-8, so the policy decides on it
        data = b"\xff".join(part.encode() for part in _SURROGATE.split(row[self.text_key]))
        return row_id(row.get(self.id_key), where), data

    def _parquet(self, span: Span) -> Iterator[tuple[str, bytes]]:
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
                    texts = table.column(self.text_key).cast(pa.large_binary()).to_pylist()
                    ids = table.column(self.id_key).to_pylist() if self.id_key in names else [None] * len(texts)
                    for offset, (text, name) in enumerate(zip(texts, ids, strict=True)):
                        data = text or b""
                        self.content.update(data)
                        self.consumed += len(data)
                        yield row_id(name, f"{source.name}#{max(at, span.start) + offset}"), data
                at += rows


def row_id(found: object, where: str) -> str:
    """The id that a row gives, or else its place; what is not UTF-8 in it is spelled out."""
    return where if found is None else str(found).encode("utf-8", "backslashreplace").decode()


def _pieces(data: bytes, edges: list[int], errors: str = "strict") -> list[str]:
    return [data[start:stop].decode(errors=errors) for start, stop in itertools.pairwise(edges)]


def _read(source: Source, start: int, stop: int) -> bytes:
    with source.open() as handle:
        _skip(handle, start)
        parts, left = [], stop - start
        while left > 0 and (chunk := handle.read(left)):
            parts.append(chunk)
            left -= len(chunk)
    if left:
        raise InputError(f"{source.name} became shorter while it was read; keep the corpus unchanged during a build")
    return b"".join(parts)


def piece_cuts(data: bytes, first: int, size: int) -> list[int]:
    """Where a text of `size` bytes is cut, as far as `data`, its bytes from offset `first`, shows."""
    cuts = []
    for nominal in range(-(-max(first, 1) // PIECE) * PIECE, min(size, first + len(data)), PIECE):
        window = data[nominal - first : nominal - first + _SLACK]
        line_end = window.find(b"\n")
        boundary = next((i for i, byte in enumerate(window[:4]) if byte & 0xC0 != 0x80), len(window))
        cut = nominal + (line_end + 1 if line_end >= 0 else boundary)
        if 0 < cut < size:
            cuts.append(cut)
    return cuts


def _skip(handle: IO[bytes], start: int) -> None:
    """Move to byte `start`; a compressed stream is read forward, since not every codec can seek."""
    try:
        handle.seek(start)
    except (OSError, ValueError, NotImplementedError):  # as codecs refuse, each in its way; damage shows when read
        while start and (chunk := handle.read(min(start, 1 << 20))):
            start -= len(chunk)
