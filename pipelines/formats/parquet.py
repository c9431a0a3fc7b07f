"""Parquet: each row is a document, its text in one column of strings.

Covers: .parquet with a column of strings. Does not cover: columns of token ids (token_ids.py), reading rows without
their row group (parquet_rows.py).
"""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from memo_dist.errors import InputError
from pipelines.formats.parquet_rows import Runs, opened, rows_between
from pipelines.formats.protocol import ByRows, Measured
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source
from pipelines.splits import Span


class ParquetFormat(ByRows):
    """A document's id is a column of the row, else "file#row"."""

    name = "parquet"
    suffixes: tuple[str, ...] = (".parquet",)
    content = "text"

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """The rows of the file and the bytes of its text column, all of them whatever the limit."""
        del limit
        with opened(source) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
        if text_key not in schema.names or not _holds_text(schema.field(text_key).type):  # `passages` says so
            return Measured(replace(source, size=rows, rows=rows))
        runs = Runs()
        for batch in rows_between(source, [text_key], start=0, stop=rows):
            runs.add(pc.binary_length(_plain(batch.column(0))))
        # a column of empty texts is still read
        return Measured(replace(source, size=max(runs.size, rows), rows=rows), marks=runs.marks())

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span."""
        return reading.whole_documents(_rows(span, reading), span.source, position_in="rows")


def _holds_text(kind: pa.DataType) -> bool:
    """Whether a column is of strings, in whatever dress: numbered (pandas' categories), views, or of bytes that nobody
    has marked as UTF-8 (Impala, Hive, older Spark)."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    data = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_of(kind) for is_of in (*text, *data))


def _plain(column: pa.Array) -> pa.Array:
    """The bytes of a column of strings."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_binary())


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
    source, text_key, id_key = span.source, reading.text_key, reading.id_key
    with opened(source) as file:
        schema = file.schema_arrow
    if text_key not in schema.names:
        raise InputError(
            f"{source.name}: expected a column {text_key!r}, found {schema.names}; name it with --text-key"
        )
    if not _holds_text(schema.field(text_key).type):
        kind = schema.field(text_key).type
        raise InputError(f"{source.name}: column {text_key!r} is {kind}; expected strings")
    row = span.start
    columns = [text_key, *([id_key] if id_key in schema.names else [])]
    for batch in rows_between(source, columns, start=row, stop=span.stop):
        texts = _plain(batch.column(text_key))
        ids = batch.column(id_key) if id_key in schema.names else pa.nulls(len(texts))
        for text, value in zip(texts, ids, strict=True):
            data = text.as_py() or b""
            reading.content.update(data)
            reading.consumed += len(data)
            yield row_id(value.as_py(), f"{source.name}#{row}"), data, row
            row += 1
