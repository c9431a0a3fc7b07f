"""Batches in a file, to be read more than once: tokenizing is slower than reading.

Covers: Arrow streams, one a batch, end to end. Does not cover: anything durable; the file is the caller's to remove.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from memo_dist.durable import writing
from memo_dist.errors import StorageError


@contextmanager
def temporary_directory(prefix: str) -> Iterator[Path]:
    """A directory where the system keeps temporary files; removed at the end.

    Raises:
        StorageError: there is none, or it is full; TMPDIR names another.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
    except (StorageError, FileNotFoundError) as error:
        raise StorageError(f"{error}. Batches are kept in a temporary directory; TMPDIR can name another") from error


def write_batches(batches: Iterable[pa.Table], path: Path) -> None:
    """Keep batches, one at a time in memory.

    Raises:
        StorageError: the file cannot be written.
    """
    with writing(path):
        sink = pa.OSFile(str(path), "wb")
    with sink:
        for table in batches:
            with writing(path), pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)


def read_batches(path: Path) -> Iterator[pa.Table]:
    """What `write_batches` kept, mapped."""
    with pa.memory_map(str(path)) as source:
        while source.tell() < source.size():
            yield pa.ipc.open_stream(source).read_all()
