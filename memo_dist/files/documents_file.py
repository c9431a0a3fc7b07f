"""The documents of one shard: `shard-*.documents.parquet`, written once beside the shard's own file.

Covers: writing it, reading it in pieces, each checked. Does not cover: what a record is (document_parts.py), all files
of a memory (working.py). The format is stated in docs/reference/format.md.

Records are sorted by the lower half of their keys and come in groups of rows whose extents the file's footer has, so
that a few documents are found among many without reading the file.
"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.arrow_arrays import numbers_of
from memo_dist.document_parts import document_key
from memo_dist.documents import LOW, SCHEMA, numbers
from memo_dist.durable import file_digest, sync_directory, writing
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.checked import has_columns, read_group, require_bytes, texts_of
from memo_dist.files.manifest import FileRecord

GROUP_ROWS = 1 << 14
_GROUP_BYTES = 1 << 30  # of a group in memory: records take about a hundred bytes, but an id may be any text


def write_documents(table: pa.Table, path: Path) -> FileRecord:
    """Write records, sorted as a registry gives them: temporary name, fsync, rename.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with writing(path):
            with open(temporary, "wb") as handle:
                rows = max(1, min(GROUP_ROWS, _GROUP_BYTES // 4 * max(1, len(table)) // max(1, table.nbytes)))
                pq.write_table(table, handle, row_group_size=rows, compression="zstd")
                handle.flush()
                os.fsync(handle.fileno())
            record = FileRecord(path.name, temporary.stat().st_size, file_digest(temporary))
            temporary.rename(path)
            sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return record


class DocumentsFile:
    """Reads one file of records.

    Args:
        path: the file. record: what the manifest says of it.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, path: Path, record: FileRecord) -> None:
        self.path, self.record = path, record
        require_bytes(path, record)

    def close(self) -> None:
        """Let go of the file."""
        if "_file" in self.__dict__:
            self._file.close()
            del self._file

    def verify(self) -> None:
        """Check every byte."""
        for _ in self.groups():
            pass

    def groups(self, wanted: Callable[[int, int], bool] | None = None) -> Iterator[pa.Table]:
        """The records, a group of rows at a time.

        Args:
            wanted: takes the smallest and largest `low` of a group; groups for which it says no are left out.
        """
        try:
            file = self._file
            for group in range(file.num_row_groups):
                if not file.metadata.row_group(group).num_rows:  # of a shard without documents
                    continue
                extent = file.metadata.row_group(group).column(0).statistics
                if wanted is None or wanted(extent.min, extent.max):
                    table = read_group(file, group, SCHEMA, path=self.path, most_bytes=_GROUP_BYTES)
                    yield self._checked(table, (extent.min, extent.max))
        except DamagedMemoryError:
            raise
        except (pa.ArrowException, OSError, AttributeError, ValueError) as error:
            raise DamagedMemoryError(f"{self.path} cannot be read: {error}; restore it from a copy") from error

    def ids(self, low: np.ndarray) -> Iterator[tuple[int, str]]:
        """(lower half, id) of the documents whose key has one of these lower halves, (n,) sorted."""

        def wanted(first: int, last: int) -> bool:
            return int(np.searchsorted(low, first)) < int(np.searchsorted(low, last, side="right"))

        for table in self.groups(wanted):
            rows = np.flatnonzero(np.isin(numbers(table, "low"), low))
            names = table.column("id").take(numbers_of(rows)).to_pylist()
            yield from zip(numbers(table, "low")[rows].tolist(), names, strict=True)

    @cached_property
    def _file(self) -> pq.ParquetFile:
        """The file, once it is known to be this memory's: what is parsed was written by this program."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(
                f"{self.path} does not match the manifest's checksum; restore it from a copy or build again"
            )
        file = pq.ParquetFile(self.path, pre_buffer=False, read_dictionary=texts_of(SCHEMA))
        if not has_columns(file, SCHEMA):
            names = file.schema_arrow.names
            raise DamagedMemoryError(f"{self.path} has the columns {names}; expected {SCHEMA.names} with their types")
        return file

    def _checked(self, table: pa.Table, extent: tuple[int, int]) -> pa.Table:
        """A group that holds the keys that it should."""
        keys, low = numbers(table, "key"), numbers(table, "low")
        fits = np.array_equal(low, keys & np.uint64(LOW)) and bool(np.all(low[1:] >= low[:-1]))
        fits = fits and (not len(low) or extent == (low[0], low[-1]))
        if not fits or (len(keys) and document_key(table.column("id")[0].as_py()) != int(keys[0])):
            raise DamagedMemoryError(f"{self.path} has records under other keys than their ids have; restore it")
        return table
