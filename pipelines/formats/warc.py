"""WARC: archives of the web, .warc, and the texts that Common Crawl makes of them, .wet.

Covers: texts of conversion records, pages of responses and resources by html.py, archives that break off. Does not
cover: requests, metadata, and answers that are neither HTML nor plain text or not of status 2xx, all passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from memo_dist.errors import InputError
from memo_dist.extras import require
from pipelines.formats.forward_rows import MAX_ROW, BrokenRowError, ForwardRows, Row
from pipelines.formats.html import page_text
from pipelines.reading import Reading
from pipelines.sources import Source

_PLAIN, _PAGES = "text/plain", ("text/html", "application/xhtml+xml")
_RECORD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class _Record:
    """A record that has a text.

    Attributes:
        name: WARC-Record-ID, else WARC-Target-URI; None of neither.
        data: a text, or a page; None: more than MAX_ROW.
        is_page: whether it is a page of HTML.
        charset: of the page or text, as the server said; None: it did not.
        fault: why it cannot be read; "" if it can.
    """

    name: str | None
    data: bytes | None = None
    is_page: bool = False
    charset: str | None = None
    fault: str = ""


class WarcFormat(ForwardRows):
    """A document's id is its WARC-Record-ID, "<urn:uuid:...>", else its WARC-Target-URI."""

    name = "warc"
    suffixes: tuple[str, ...] = (".warc", ".wet")
    content = "text"

    def rows(self, handle: IO[bytes], source: Source) -> Iterator[Row]:
        """The records that have a text.

        Raises:
            InputError: also where there are records, and none of a text.
            MissingExtraError: fastwarc or resiliparse is not installed.
        """
        require("fastwarc", "resiliparse")
        from fastwarc.warc import ArchiveIterator

        tail = _Tail(handle)
        records, texts, place = 0, 0, 0
        waiting: _Record | None = None
        opened: Any = tail  # which has what the library asks for
        for record in ArchiveIterator(opened, stream_detect=False, auto_decode="all"):
            if waiting is not None:
                yield Row(record.stream_pos - place, waiting)
                place = record.stream_pos
            waiting = _text_of(record)
            records += 1
            texts += waiting is not None
        tail.require_whole(source, records)
        if waiting is not None:
            yield Row(tail.bytes - place, waiting)
        if not texts and tail.bytes:
            raise InputError(
                f"{source.name} holds {records} records, none with a text: expected conversion records, as in .wet, or "
                "responses with HTML. A file that is no part of the corpus is left out by --exclude"
            )

    def document(self, row: Row, source: Source, reading: Reading) -> tuple[object, bytes]:
        record: _Record = row.content
        if record.fault or record.data is None:
            why = record.fault or f"is longer than {MAX_ROW:,} bytes"
            raise BrokenRowError(f"the record {record.name} {why}")
        if record.is_page:
            return record.name, (page_text(record.data, record.charset) or "").encode()
        if record.charset is None:
            return record.name, record.data
        try:
            return record.name, record.data.decode(record.charset, errors="surrogateescape").encode(
                errors="surrogateescape"
            )
        except (LookupError, UnicodeError) as error:
            raise BrokenRowError(f"the record {record.name} is in {record.charset}, which is not known") from error


def _text_of(record: Any) -> _Record | None:
    """What a record has of a text; None: nothing."""
    kind, charset = _kind_of(record)
    if kind is None:
        return None
    name = record.headers.get("WARC-Record-ID") or record.headers.get("WARC-Target-URI")
    try:
        data: bytes = record.reader.read(MAX_ROW + 1)
    except Exception as error:  # of whatever packed the answer
        return _Record(name, fault=f"cannot be unpacked: {error}")
    if not record.is_http and len(data) < min(record.content_length, MAX_ROW):
        return _Record(name, fault=f"breaks off after {len(data):,} of {record.content_length:,} bytes")
    return _Record(name, data if len(data) <= MAX_ROW else None, is_page=kind in _PAGES, charset=charset)


def _kind_of(record: Any) -> tuple[str | None, str | None]:
    """The kind of a record's text, and how its letters are written; None: it has no text, or nobody says how."""
    said = (record.headers.get("WARC-Type") or "").strip().lower()
    if said == "conversion":
        return _PLAIN, None
    if said not in ("response", "resource"):
        return None, None
    if record.is_http:
        status = record.http_headers.status_code or 0
        kind, charset = record.http_content_type, record.http_charset
        if not 200 <= status < 300:
            return None, None
    else:
        kind, _, more = (record.headers.get("Content-Type") or "").partition(";")
        charset = more.partition("charset=")[2].strip(" \"'") or None
    kind = (kind or "").strip().lower()
    return (kind, charset) if kind == _PLAIN or kind in _PAGES else (None, None)


class _Tail:
    """A file that is read forward, its last bytes, and how many there were.

    Attributes:
        error: that of reading, which the library would not hand on but end the process with.
    """

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self.last, self.bytes = handle, b"", 0
        self.error: Exception | None = None

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        try:
            data = self._handle.read(count)
        except Exception as error:
            self.error = error
            return b""
        self.last = (self.last + data)[-len(_RECORD_END) :]
        self.bytes += len(data)
        return data

    def tell(self) -> int:
        """How many bytes were read."""
        return self.bytes

    def require_whole(self, source: Source, records: int) -> None:
        """Raise what reading raised, or InputError for a file that ends within a record."""
        if self.error is not None:
            raise self.error
        if records and self.last != _RECORD_END:
            raise InputError(
                f"{source.name} is not whole: it ends within its record {records}. Replace it or leave it out"
            )
