"""Formats: the files that a corpus may consist of, one module for each format.

Covers: the list of formats, which format a file's name means, the endings for help and errors. Does not cover: finding
files (find.py), cutting a corpus (plan.py), tokenizing (batching.py).

To add a format, say .csv:

1. Write pipelines/formats/csv.py with a class `CsvFormat` that keeps the protocol of protocol.py. `ByBytes` or `ByRows`
   there gives it everything that follows from being cut by bytes or by rows; what is left is to measure a file, to find
   its first documents, and to read a span's documents as `passages`, most simply by `reading.whole_documents`.
2. Add `CsvFormat()` to `FORMATS` below. Nothing else compares a format's name: directories, globs, --help, messages,
   plans and batches follow from this list.
3. Give tests/contracts/test_formats.py a writer of such files; the suite then runs for the new format, and fails until
   there is one.
"""

from collections.abc import Iterator

from pipelines.compression import COMPRESSIONS
from pipelines.formats.arrow import ArrowFormat
from pipelines.formats.csv import TableFormat
from pipelines.formats.html import HtmlFormat
from pipelines.formats.jsonl import JsonlFormat
from pipelines.formats.parquet import ParquetFormat
from pipelines.formats.protocol import Format
from pipelines.formats.text import TextFormat
from pipelines.formats.token_ids import TokenIdsFormat
from pipelines.formats.warc import WarcFormat
from pipelines.formats.webdataset import WebDatasetFormat
from pipelines.reading import Passage, Reading
from pipelines.sources import Source
from pipelines.splits import Span

TOKEN_IDS = TokenIdsFormat()
FORMATS: tuple[Format, ...] = (
    TextFormat(),
    JsonlFormat(),
    ParquetFormat(),
    ArrowFormat(),
    TableFormat("csv", ","),
    TableFormat("tsv", "\t"),
    WebDatasetFormat(),
    HtmlFormat(),
    WarcFormat(),
    TOKEN_IDS,
)

_BY_NAME = {format_.name: format_ for format_ in FORMATS}
_BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}
_ENDINGS = (*_BY_SUFFIX, *COMPRESSIONS)

ENDINGS = " ".join(_BY_SUFFIX)
"""The endings of files that can be read, for help."""


TEXT_FORMATS = tuple(format_.name for format_ in FORMATS if format_.content == "text")
"""The names of formats of text, for --format."""


def format_of(source: Source) -> Format:
    """The format of a source."""
    return _BY_NAME[source.format]


def format_by_name(name: str) -> tuple[Format, str | None] | None:
    """The format and compression that the ending of a file's name or URL means; None if it is no file to read."""
    lower = name.rstrip("/").lower()
    if not lower.endswith(_ENDINGS):
        return None  # before the path is taken apart: most files of a directory may be of other kinds
    stem, ending = _parted(lower)
    compression = COMPRESSIONS.get(ending)
    format_ = _BY_SUFFIX.get(_parted(stem)[1] if compression else ending)
    if format_ is None or (compression and not format_.compressible):
        return None
    return format_, compression


def named_format(format_name: str, name: str) -> tuple[Format, str | None]:
    """A format of this name, and the compression that the ending of a file's name means."""
    format_ = _BY_NAME[format_name]
    return format_, COMPRESSIONS.get(_parted(name.rstrip("/").lower())[1]) if format_.compressible else None


def _parted(name: str) -> tuple[str, str]:
    """Stem and suffix as pathlib has them, which would keep every name that it sees."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return (base[:dot], base[dot:]) if 0 < dot < len(base) - 1 else (base, "")


def describe_endings() -> str:
    """The endings that can be read, with those of compressed files, for messages."""
    plain = [suffix for suffix, format_ in _BY_SUFFIX.items() if not format_.compressible]
    but = f"all but {' '.join(plain)}" if plain else "all"
    return f"{ENDINGS}, {but} also with {' '.join(COMPRESSIONS)}"


def span_bytes(span: Span) -> int:
    """Bytes of text of a span; of rows, their even share of the file's."""
    return format_of(span.source).span_bytes(span)


def passages(span: Span, reading: Reading) -> Iterator[Passage]:
    """The passages of a span, in order. Empty documents are counted in `reading` and left out.

    Raises:
        InputError: a document cannot be read; the file and the place are named.
    """
    return format_of(span.source).passages(span, reading)
