"""Arrow files: .arrow as IPC streams, which Hugging Face's `save_to_disk` writes, and as IPC files.

Covers: both kinds, mapped into memory so that of a batch only rows that are read come from the disk; files that end too
early. Does not cover: what a column of texts is (text_columns.py), directories of such files (saved_datasets.py).
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from memo_dist.errors import InputError
from pipelines.formats.batch_rows import BatchRows, Runs
from pipelines.formats.fields import column_of, path_of
from pipelines.formats.protocol import ByRows, Measured
from pipelines.formats.text_columns import columns_read, documents, holds_text, plain
from pipelines.forward import resumed
from pipelines.reading import Passage, Reading
from pipelines.sources import Source
from pipelines.splits import Span

_FILE_MAGIC = b"ARROW1"
_END = bytes(4)  # of a stream; newer writers put four bytes of ones before it
_MOST_ROWS = 1 << 8  # together: writers put thousands into a batch
_RELEASED = 4 << 20  # bytes read, about, after which mapped pages are given back


class ArrowFormat(ByRows):
    """A document's id is a column of the row, else "file#row"."""

    name = "arrow"
    suffixes: tuple[str, ...] = (".arrow",)
    content = "text"

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """The rows of the file and the bytes of its text column, all of them whatever the limit."""
        del limit
        runs, rows = Runs(), 0
        with source.named(), _opened(source) as (file, release):
            schema = _schema(file)
            holds = holds_text(schema, text_key)  # `passages` says what is wrong if it does not
            path = path_of(schema, text_key)
            for batch in _batches(file, source, [path[0]] if path else schema.names[:1], release=release):
                rows += batch.num_rows
                if holds:
                    runs.add(pc.binary_length(plain(column_of(batch, text_key))))
        return Measured(replace(source, size=max(runs.size, rows), rows=rows), marks=runs.marks() if holds else None)

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span."""
        return reading.whole_documents(_rows(span, reading), span.source, position_in="rows")


def _rows(span: Span, reading: Reading) -> Iterator[tuple[str, bytes, int]]:
    source = span.source
    key = source.content("arrow", reading.text_key, reading.id_key)
    with source.named(), resumed(key, span.start, lambda: _rows_of(source, reading)) as rows:
        batches = rows.between(span.start, span.stop)
        yield from documents(batches, span.start, source=source, reading=reading)


def _rows_of(source: Source, reading: Reading) -> BatchRows:
    opening = _opened(source)
    file, release = opening.__enter__()
    columns = columns_read(_schema(file), source, reading)
    return BatchRows(_batches(file, source, columns, release=release), opening)


@contextmanager
def _opened(source: Source) -> Iterator[tuple[pa.NativeFile, Callable[[], None]]]:
    """The file, and what gives mapped pages back, which count as the process's memory else."""
    if source.is_remote:
        with source.open() as handle:
            yield pa.PythonFile(handle, mode="r"), lambda: None
        return
    with open(source.url, "rb") as handle:
        mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)  # closed with the last array that lies in it
    yield pa.BufferReader(pa.py_buffer(mapped)), lambda: mapped.madvise(mmap.MADV_DONTNEED)


def _is_stream(file: pa.NativeFile) -> bool:
    file.seek(0)
    is_stream = bytes(file.read(len(_FILE_MAGIC))) != _FILE_MAGIC
    file.seek(0)
    return is_stream


def _schema(file: pa.NativeFile) -> pa.Schema:
    opened = pa.ipc.open_stream if _is_stream(file) else pa.ipc.open_file
    return opened(file).schema


def _batches(
    file: pa.NativeFile, source: Source, columns: list[str], *, release: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    """The rows of a file, some at a time, checked to lie in it.

    Raises:
        InputError: it is a stream that breaks off between two batches, or has more behind its end.
    """
    schema = _schema(file)
    is_stream = _is_stream(file)
    options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in columns])
    if is_stream:
        whole: Iterator[pa.RecordBatch] = iter(pa.ipc.open_stream(file, options=options))
    else:
        reader = pa.ipc.open_file(file, options=options)
        whole = (reader.get_batch(number) for number in range(reader.num_record_batches))
    for batch in whole:
        held = 0
        for first in range(0, batch.num_rows, _MOST_ROWS):
            part = batch.slice(first, _MOST_ROWS)
            for column in part.columns:
                _require_sound(column)
            yield part
            held += part.get_total_buffer_size() * part.num_rows // max(batch.num_rows, 1)
            if held >= _RELEASED:
                release()
                held = 0
        release()
    if is_stream:
        _require_end(file, source)


def _require_sound(column: pa.Array) -> None:
    """Raise pa.ArrowInvalid where a damaged column points out of itself; whether strings are UTF-8 the policy says."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        _require_sound(column.dictionary)
        values = pa.nulls(len(column.dictionary))
        pa.DictionaryArray.from_arrays(column.indices, values).validate(full=True)
        return
    kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    (column.view(kinds[kind]) if kind in kinds else column).validate(full=True)


def _require_end(file: pa.NativeFile, source: Source) -> None:
    """A stream says that it ends, with the last bytes of its file."""
    place, size = file.tell(), file.size()
    file.seek(max(0, place - len(_END)))
    if place != size or file.read(len(_END)) != _END:
        what = "has more behind the end of its stream" if place != size else "breaks off before the end of its stream"
        raise InputError(f"{source.name} {what}; write it anew, one stream or one file in each .arrow")
