"""Batch rows: batches of an Arrow table as rows that are read forward, and how many bytes runs of rows have.

Covers: ranges of rows from batches of any length. Does not cover: where batches come from (parquet_rows.py, arrow.py).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa

from pipelines.splits import Marks

_MOST_RUN = 1 << 16  # bytes


class BatchRows:
    """The rows of batches, forward.

    Args:
        batches: of which row `place` is the first.
        opened: what they come from, whose block ends when nothing more is read.
        rows: of the whole file; None: nobody knows.

    Attributes:
        place: the number of the next row.
    """

    def __init__(
        self,
        batches: Iterator[pa.RecordBatch],
        opened: AbstractContextManager[object],
        *,
        place: int = 0,
        rows: int | None = None,
    ) -> None:
        self._batches, self._opened, self.place, self._rows = batches, opened, place, rows
        self._batch: pa.RecordBatch | None = None

    @property
    def first(self) -> int:
        """The next row is the first that can be read."""
        return self.place

    @property
    def ended(self) -> bool:
        """Whether the last row was given."""
        return self._rows is not None and self.place >= self._rows

    def between(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """Rows [start, stop), as many as there are, from `place` on."""
        while self.place < start and self._next(start - self.place) is not None:
            pass
        while self.place < stop and (batch := self._next(stop - self.place)) is not None:
            yield batch

    def _next(self, most: int) -> pa.RecordBatch | None:
        """The next rows, `most` at most; None at the end."""
        batch = next(self._batches, None) if self._batch is None else self._batch
        if batch is None:
            self._rows = self.place
            return None
        taken, left = batch.slice(0, most), batch.slice(most)
        self._batch = left if left.num_rows else None
        self.place += taken.num_rows
        return taken

    def close(self) -> None:
        """Close what the batches come from."""
        self._batches, self._batch = iter(()), None
        self._opened.__exit__(None, None, None)


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
