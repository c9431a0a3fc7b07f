"""Text columns: what a column of an Arrow table must be to hold texts, and the documents of its rows.

Covers: strings in every dress, the column of ids, columns that are missing. Does not cover: how batches of rows are
read (parquet_rows.py, arrow.py).
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from memo_dist.errors import InputError
from pipelines.formats.fields import column_of, path_of, type_of
from pipelines.reading import Reading, row_id
from pipelines.sources import Source


def holds_text(schema: pa.Schema, name: str) -> bool:
    """Whether a column, or a field inside one (fields.py), is there and of strings, in whatever dress: numbered
    (pandas' categories), views, or of bytes that nobody has marked as UTF-8 (Impala, Hive, older Spark)."""
    kind = type_of(schema, name)
    if kind is None:
        return False
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    data = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_of(kind) for is_of in (*text, *data))


def plain(column: pa.Array) -> pa.Array:
    """The bytes of a column of strings."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_binary())


def columns_read(schema: pa.Schema, source: Source, reading: Reading) -> list[str]:
    """The columns of a file that reading needs: that of texts, and that of ids if there is one.

    Raises:
        InputError: there is none of texts, or it is of something else.
    """
    text_key, id_key = reading.text_key, reading.id_key
    text, ids = path_of(schema, text_key), path_of(schema, id_key)
    if text is None:
        raise InputError(
            f"{source.name}: expected a column {text_key!r}, found {schema.names}; name it with --text-key"
        )
    if not holds_text(schema, text_key):
        kind = type_of(schema, text_key)
        raise InputError(f"{source.name}: column {text_key!r} is {kind}; expected strings{_inside(kind, text_key)}")
    return list(dict.fromkeys([text[0], *([ids[0]] if ids else [])]))


def _inside(kind: pa.DataType | None, key: str) -> str:
    """How a field of a column of structs is named."""
    if kind is None or not pa.types.is_struct(kind) or not kind.num_fields:
        return ""
    return f"; a field inside it is named by a dot, as in --text-key {key}.{kind.field(0).name}"


def documents(
    batches: Iterable[pa.RecordBatch], first: int, *, source: Source, reading: Reading
) -> Iterator[tuple[str, bytes, int]]:
    """Id, text and place of each row, of which `first` is the first."""
    row = first
    for batch in batches:
        texts, ids = plain(column_of(batch, reading.text_key)), column_of(batch, reading.id_key)
        ids = pa.nulls(len(texts)) if ids is None else ids
        for text, value in zip(texts, ids, strict=True):
            data = text.as_py() or b""
            reading.content.update(data)
            reading.consumed += len(data)
            yield row_id(value.as_py(), f"{source.name}#{row}"), data, row
            row += 1
