"""Parquet: each row is a document, its text in one column of strings.

Covers: .parquet, read by row groups. Does not cover: columns of token ids (token_ids.py).
"""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memo_dist.errors import InputError
from pipelines.formats.protocol import ByRows, Measured
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source
from pipelines.units import Span


class ParquetFormat(ByRows):
    """A document's id is a column of the row, else "file#row"."""

    name = "parquet"
    suffixes: tuple[str, ...] = (".parquet",)
    content = "text"

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """The rows of the file and the bytes of its text column, all of them whatever the limit."""
        del limit
        size = 0
        with source.open() as handle, pq.ParquetFile(handle) as file:
            rows = file.metadata.num_rows
            if text_key in file.schema_arrow.names:  # if it is not, `passages` says so
                for batch in file.iter_batches(columns=[text_key]):
                    size += pc.sum(pc.binary_length(batch.column(0).cast(pa.large_binary()))).as_py() or 0
        return Measured(replace(source, size=max(size, rows), rows=rows))  # a column of empty texts is still read

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span."""
        return reading.whole_documents(_rows(span, reading), span.source)


def row_groups(file: pq.ParquetFile, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """The row groups that hold rows [start, stop): (group, the file's row at which it begins, first and last row in it,
    the last exclusive and both counted from the group's beginning)."""
    begin = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        first, last = max(start - begin, 0), min(stop - begin, rows)
        if first < last:
            yield group, begin, first, last
        begin += rows


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes]]:
    source, text_key, id_key = span.source, reading.text_key, reading.id_key
    with source.open() as handle, pq.ParquetFile(handle) as file:
        names = file.schema_arrow.names
        if text_key not in names:
            raise InputError(f"{source.name}: expected a column {text_key!r}, found {names}; name it with --text-key")
        kind = file.schema_arrow.field(text_key).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f"{source.name}: column {text_key!r} is {kind}; expected strings")
        columns = [text_key, *([id_key] if id_key in names else [])]
        for group, begin, first, last in row_groups(file, span.start, span.stop):
            table = file.read_row_group(group, columns).slice(first, last - first)
            texts = table.column(text_key).cast(pa.large_binary()).to_pylist()
            ids = table.column(id_key).to_pylist() if id_key in names else [None] * len(texts)
            for row, (text, value) in enumerate(zip(texts, ids, strict=True), start=begin + first):
                data = text or b""
                reading.content.update(data)
                reading.consumed += len(data)
                yield row_id(value, f"{source.name}#{row}"), data
