"""Tables of text: .csv and .tsv, each row a document, its text in one column.

Covers: a header that names the columns, quoted fields with line ends, quotes and separators in them, rows that are
broken. Does not cover: other separators and files without a header, which are refused with the columns found.
"""

import csv
from collections.abc import Iterator
from typing import IO

from memo_dist.errors import InputError
from pipelines.formats.forward_rows import MAX_ROW, BrokenRowError, ForwardRows, Row
from pipelines.reading import Reading
from pipelines.sources import Source

_MARK = b"\xef\xbb\xbf"  # of UTF-8, as Excel writes it
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SHOWN = 20  # columns, of a file that may have no header at all
_SHOWN_LENGTH = 40


class TableFormat(ForwardRows):
    """A document's id is a column of the row, else "file#row"; a text is exact to the byte.

    Args:
        name: of the format.
        delimiter: what stands between fields.
    """

    content = "text"

    def __init__(self, name: str, delimiter: str) -> None:
        self.name, self._delimiter = name, delimiter
        self.suffixes: tuple[str, ...] = (f".{name}",)

    def rows(self, handle: IO[bytes], source: Source) -> Iterator[Row]:
        """The rows below the header; blank lines are passed over."""
        csv.field_size_limit(MAX_ROW)  # the library's own is 128 KiB, of the whole process
        lines, before = _Lines(handle, source), 0
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            header = next(filter(None, reader), [])
        except csv.Error as error:
            raise InputError(f"{source.name} line {reader.line_num}: {_told(error)}") from error
        before = lines.bytes
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields = [f"line {reader.line_num}: {_told(error)}"]
                yield Row(lines.bytes - before, (header, fields, None))
            else:
                if not fields:
                    continue
                yield Row(lines.bytes - before, (header, fields, reader.line_num))
            before = lines.bytes

    def document(self, row: Row, source: Source, reading: Reading) -> tuple[object, bytes]:
        header, fields, line = row.content
        if reading.text_key not in header:
            raise InputError(
                f"{source.name}: expected a column {reading.text_key!r} in its first row, found {_shown(header)}; name "
                f"the column with --text-key. Fields of .{self.name} stand between {self._delimiter!r}"
            )
        if line is None:
            raise BrokenRowError(fields[0])
        if len(fields) != len(header):
            raise BrokenRowError(f"the row that ends in line {line} has {len(fields)} fields, the header {len(header)}")
        name = fields[header.index(reading.id_key)] if reading.id_key in header else ""
        data = fields[header.index(reading.text_key)].encode(errors="surrogateescape")
        fields.clear()  # of a long document there are several copies otherwise
        return name or None, data


def _told(error: csv.Error) -> str:
    """What is wrong with a row, in a sentence that follows a colon."""
    if "unexpected end of data" in str(error):
        return "the file ends inside quotation marks; is it whole?"
    if "field larger" in str(error):
        return f"a field is longer than {MAX_ROW:,} bytes, or quotation marks are not closed"
    return f"fields are not quoted as they should be ({error})"


def _shown(header: list[str]) -> str:
    shown = [name if len(name) <= _SHOWN_LENGTH else f"{name[:_SHOWN_LENGTH]}..." for name in header[:_SHOWN]]
    return f"{shown}{' and more' if len(header) > _SHOWN else ''}"


class _Lines(Iterator[str]):
    """The lines of a file with their ends; bytes that are no UTF-8 become surrogates, which the policy decides on.

    Attributes:
        bytes: of the lines so far.
    """

    def __init__(self, handle: IO[bytes], source: Source) -> None:
        self._handle, self._source, self.bytes = handle, source, 0

    def __next__(self) -> str:
        line = self._handle.readline(MAX_ROW + 1)
        if not line:
            raise StopIteration
        if not self.bytes and line.startswith(_OTHER_MARKS):
            raise InputError(f"{self._source.name} is UTF-16; expected UTF-8: iconv -f UTF-16 -t UTF-8 converts it")
        if len(line) > MAX_ROW:
            raise InputError(
                f"{self._source.name}: the line that begins at byte {self.bytes} is longer than {MAX_ROW:,} bytes; "
                "make it a text file of its own. A file that is no part of the corpus is left out by --exclude"
            )
        data = line.removeprefix(_MARK) if not self.bytes else line
        self.bytes += len(line)
        return data.decode(errors="surrogateescape")
