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

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.forward import resumed
from pipelines.sources import Source
from pipelines.splits import Marks

_BATCH_BYTES = 1 << 20
_MOST_ROWS = 1 << 8  # of a batch: some may be much larger than others
_FEW_ROWS = 1 << 6  # of a batch whose rows may be larger than they are in the file: of a dictionary, each has it anew
_READ_BYTES = 1 << 20  # at a time, of a column
_MOST_RUN = 1 << 16  # bytes


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
    with source.named(), resumed(source.content(tuple(columns)), start, lambda: _Rows(source, columns, start)) as rows:
        rows.pass_over(start)
        while rows.place < stop and (batch := rows.next(stop - rows.place)) is not None:
            yield batch


class _Rows:
    """The rows of some columns from the row group on in which row `start` is."""

    def __init__(self, source: Source, columns: list[str], start: int) -> None:
        self._opened = opened(source)
        file = self._opened.__enter__()
        groups, self.place, self._rows = list(range(file.num_row_groups)), 0, int(file.metadata.num_rows)
        while groups and self.place + (rows := file.metadata.row_group(groups[0]).num_rows) <= start:
            self.place += rows
            groups.pop(0)
        self._batches = _batches(file, columns, groups)
        self._batch: pa.RecordBatch | None = None

    @property
    def first(self) -> int:
        """The next row is the first that can be read."""
        return self.place

    @property
    def ended(self) -> bool:
        """Whether the last row was given."""
        return self.place >= self._rows

    def pass_over(self, start: int) -> None:
        """Go on to row `start`, or to the end."""
        while self.place < start and self.next(start - self.place) is not None:
            pass

    def next(self, most: int) -> pa.RecordBatch | None:
        """The next rows, `most` at most; None at the end."""
        batch = next(self._batches, None) if self._batch is None else self._batch
        if batch is None:
            return None
        taken, left = batch.slice(0, most), batch.slice(most)
        self._batch = left if left.num_rows else None
        self.place += taken.num_rows
        return taken

    def close(self) -> None:
        """Close the file."""
        self._batches = iter(())
        self._opened.__exit__(None, None, None)


def _batches(file: pq.ParquetFile, columns: list[str], groups: list[int]) -> Iterator[pa.RecordBatch]:
    for group in groups:
        length = _batch_rows(file.metadata.row_group(group), columns)
        yield from file.iter_batches(length, row_groups=[group], columns=columns, use_threads=False)


def _batch_rows(group: pq.RowGroupMetaData, columns: list[str]) -> int:
    """How many rows of a group have about _BATCH_BYTES, as far as the footer says."""
    of_group = (group.column(index) for index in range(group.num_columns))
    ours = [column for column in of_group if column.path_in_schema.split(".")[0] in columns]
    size = sum(int(column.total_uncompressed_size) for column in ours)
    most = _FEW_ROWS if any(column.has_dictionary_page for column in ours) else _MOST_ROWS
    return max(1, min(most, _BATCH_BYTES * int(group.num_rows) // max(size, 1)))


class Runs:
    """Bytes of runs of rows.

    Attributes:
        size: of all rows so far.
    """

    def __init__(self) -> None:
        self.size = self._rows = 0
        self._places, self._before = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]

    def add(self, lengths: pa.Array, unit: int = 1) -> None:
        """Take in the next rows: how long each is, None for a row of nothing, in units of so many bytes."""
        sizes = unit * np.from_dlpack(lengths.fill_null(0)).astype(np.int64)  # np.asarray would load pandas
        ends = self.size + np.cumsum(sizes)
        run = np.concatenate([[self.size], ends]) // min(_MOST_RUN, max(1, self.size >> 12))  # fine enough for its size
        last = np.flatnonzero(run[1:] != run[:-1])  # rows with which a run ends
        self._places.append(self._rows + last + 1)
        self._before.append(ends[last])
        self._rows += len(sizes)
        self.size += int(sizes.sum())

    def marks(self) -> Marks:
        """The runs; the last one ends with the last row."""
        places = np.concatenate([*self._places, [self._rows]])
        before = np.concatenate([*self._before, [self.size]])
        return Marks(places, np.diff(before))
