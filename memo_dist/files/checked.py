"""What a Parquet file of a memory must be before it is believed: there, of the size that the manifest says, and no
larger in memory than it may be.

Covers: these checks. Does not cover: digests, columns and values, which each reader checks itself.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.manifest import FileRecord


def require_bytes(path: Path, record: FileRecord) -> None:
    """Refuse a file that is missing or has another size than its record.

    Raises:
        DamagedMemoryError: the file is named.
    """
    if not path.is_file():
        raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or build again")
    if path.stat().st_size != record.bytes:
        raise DamagedMemoryError(
            f"{path} has {path.stat().st_size:,} bytes; the manifest says {record.bytes:,}. "
            "It was truncated or replaced: restore it from a copy or build again"
        )


def read_group(file: pq.ParquetFile, group: int, schema: pa.Schema, *, path: Path, most_bytes: int) -> pa.Table:
    """One group of rows, of a schema, if it takes at most `most_bytes` in memory.

    Args:
        file: opened with `texts_of(schema)` as its read_dictionary, so that a text which a file has once and rows name
            many times is expanded only when its bytes are counted.

    Raises:
        DamagedMemoryError: it would take more; the file is named. pa.ArrowException: it has other columns.
    """
    facts = file.metadata.row_group(group)
    stored = sum(facts.column(at).num_values for at in range(facts.num_columns)) + facts.total_byte_size
    if stored <= most_bytes:
        table = file.read_row_group(group)
        table.validate(full=True)
        stored = table.nbytes + sum(_text_bytes(table.column(name)) for name in texts_of(schema))
        if stored <= most_bytes:
            return table.cast(schema.with_metadata(table.schema.metadata))
    raise DamagedMemoryError(
        f"{path}: a group of {facts.num_rows:,} rows would take {stored:,} bytes; at most {most_bytes:,} are read. It "
        "was not written by memo-dist"
    )


def texts_of(schema: pa.Schema) -> list[str]:
    """The columns of texts."""
    return [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]


def has_columns(file: pq.ParquetFile, schema: pa.Schema) -> bool:
    """Whether a file opened for `read_group` has a schema."""
    found, texts = file.schema_arrow.remove_metadata(), texts_of(schema)
    for at, field in enumerate(found):
        # of a text by dictionary it is not told how wide its offsets were
        if pa.types.is_dictionary(field.type) and pa.types.is_string(field.type.value_type) and field.name in texts:
            found = found.set(at, field.with_type(schema.field(field.name).type))
    return bool(found.equals(schema))


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Of a column of texts by dictionary, once every row has its own."""
    return sum(
        pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0 for chunk in column.chunks
    )
