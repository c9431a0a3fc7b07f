"""SegmentedDocuments: the documents of one shard with what segments say of them.

Covers: reading them as one. Does not cover: one file (documents_file.py), how records fold (memo_dist/documents.py).
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import numbers_of
from memo_dist.documents import LOW, SCHEMA, folded_table, numbers
from memo_dist.files.documents_file import DocumentsFile
from memo_dist.files.manifest import FileRecord


class SegmentedDocuments(DocumentsFile):
    """Reads a file of records and those of its segments; what a segment has changed comes last.

    Args:
        path, record: see DocumentsFile. changes: of the segments, oldest first.
    """

    def __init__(self, path: Path, record: FileRecord, changes: list[DocumentsFile]) -> None:
        super().__init__(path, record)
        self._changes = changes

    def groups(self, wanted: Callable[[int, int], bool] | None = None) -> Iterator[pa.Table]:
        """See DocumentsFile."""
        for table in super().groups(wanted):
            same = table.filter(numbers_of(~np.isin(numbers(table, "key"), self._keys)))
            if len(same):
                yield same
        low = numbers(self._changed, "low")
        if len(low) and (wanted is None or wanted(int(low[0]), int(low[-1]))):
            yield self._changed

    @cached_property
    def _news(self) -> pa.Table:
        """The records of the segments."""
        none = pa.Table.from_batches([], schema=SCHEMA)
        return pa.concat_tables([none, *(group for file in self._changes for group in file.groups())])

    @cached_property
    def _keys(self) -> np.ndarray:
        return np.unique(numbers(self._news, "key"))

    @cached_property
    def _changed(self) -> pa.Table:
        """The records of all keys that segments have something of, folded."""
        low = np.unique((self._keys & np.uint64(LOW)).astype(np.uint32))

        def holds_one(first: int, last: int) -> bool:
            return int(np.searchsorted(low, first)) < int(np.searchsorted(low, last, side="right"))

        groups = super().groups(holds_one)
        before = [table.filter(numbers_of(np.isin(numbers(table, "key"), self._keys))) for table in groups]
        return folded_table(pa.concat_tables([*before, self._news]))
