"""Parquet rows: the rows of a file in small batches, read forward.

Covers: any columns, ranges of rows, how many bytes runs of rows have. Does not cover: what columns hold (parquet.py,
token_ids.py).

A row group may have a gigabyte; writers make one of a million rows. It is read as a stream, so that memory holds a page
of each column and a batch of rows. Rows inside a row group can only be reached by decoding those before them: a process
goes on from where its last split of the file ended (pipelines/forward.py), so it decodes the file once at most, rather
than once for every split.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.formats.batch_rows import BatchRows
from pipelines.forward import resumed
from pipelines.sources import Source

_BATCH_BYTES = 1 << 20
_MOST_ROWS = 1 << 8  # of a batch: some may be much larger than others
_FEW_ROWS = 1 << 6  # of a batch whose rows may be larger than they are in the file: of a dictionary, each has it anew
_READ_BYTES = 1 << 20  # at a time, of a column


@contextmanager
def opened(source: Source) -> Iterator[pq.ParquetFile]:
    """The file, of which its footer is read.

    Raises:
        InputError: it is no parquet file; raised also while reading inside the block.
    """
    with source.open() as handle, pq.ParquetFile(handle, buffer_size=_READ_BYTES, pre_buffer=False) as file:
        yield file


def rows_between(source: Source, columns: list[str], *, start: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Rows [start, stop) of a file, as many as it has, in batches of about _BATCH_BYTES.

    Raises:
        InputError: the file cannot be read.
    """
    with (
        source.named(),
        resumed(source.content(tuple(columns)), start, lambda: _rows_from(source, columns, start)) as rows,
    ):
        yield from rows.between(start, stop)


def _rows_from(source: Source, columns: list[str], start: int) -> BatchRows:
    """The rows of some columns from the row group on in which row `start` is."""
    opening = opened(source)
    file = opening.__enter__()
    groups, place = list(range(file.num_row_groups)), 0
    while groups and place + (rows := file.metadata.row_group(groups[0]).num_rows) <= start:
        place += rows
        groups.pop(0)
    batches = _batches(file, columns, groups)
    return BatchRows(batches, opening, place=place, rows=int(file.metadata.num_rows))


def _batches(file: pq.ParquetFile, columns: list[str], groups: list[int]) -> Iterator[pa.RecordBatch]:
    for group in groups:
        length = _batch_rows(file.metadata.row_group(group), columns)
        yield from file.iter_batches(length, row_groups=[group], columns=columns, use_threads=False)


def _batch_rows(group: pq.RowGroupMetaData, columns: list[str]) -> int:
    """How many rows of a group have about _BATCH_BYTES, as far as the footer says."""
    of_group = (group.column(index) for index in range(group.num_columns))
    ours = [column for column in of_group if {column.path_in_schema, column.path_in_schema.split(".")[0]} & {*columns}]
    size = sum(int(column.total_uncompressed_size) for column in ours)
    most = _FEW_ROWS if any(column.has_dictionary_page for column in ours) else _MOST_ROWS
    return max(1, min(most, _BATCH_BYTES * int(group.num_rows) // max(size, 1)))
