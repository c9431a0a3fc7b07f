"""Parquet: each row is a document, its text in one column of strings.

Covers: .parquet with a column of strings. Does not cover: what such a column is (text_columns.py), columns of token ids
(token_ids.py), reading rows without their row group (parquet_rows.py).
"""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow.compute as pc

from pipelines.formats.batch_rows import Runs
from pipelines.formats.fields import column_of, path_of
from pipelines.formats.parquet_rows import opened, rows_between
from pipelines.formats.protocol import ByRows, Measured
from pipelines.formats.text_columns import columns_read, documents, holds_text, plain
from pipelines.reading import Passage, Reading
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
        path = path_of(schema, text_key)
        if path is None or not holds_text(schema, text_key):  # `passages` says so
            return Measured(replace(source, size=rows, rows=rows))
        runs = Runs()
        for batch in rows_between(source, [path[0]], start=0, stop=rows):
            runs.add(pc.binary_length(plain(column_of(batch, text_key))))
        # a column of empty texts is still read
        return Measured(replace(source, size=max(runs.size, rows), rows=rows), marks=runs.marks())

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span."""
        return reading.whole_documents(_rows(span, reading), span.source, position_in="rows")


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
    source = span.source
    with opened(source) as file:
        columns = columns_read(file.schema_arrow, source, reading)
    batches = rows_between(source, columns, start=span.start, stop=span.stop)
    yield from documents(batches, span.start, source=source, reading=reading)
