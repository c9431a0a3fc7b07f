"""Fields: what a key names in a row: a field, or one inside another by dots (`text.content`).

Covers: rows that are objects, columns of Arrow. Does not cover: what a field must hold (text_columns.py, jsonl.py),
fields of lists, for no key tells which of several.

A name that has the dots itself goes before: `{"text.content": ..}` is asked first.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc


def field_of(row: Mapping[str, object], key: str, default: object = None) -> object:
    """What a row has under a key; `default` where there is nothing of that name."""
    if key in row:
        return row[key]
    first, dot, rest = key.partition(".")
    while dot:
        inner = row.get(first)
        if isinstance(inner, Mapping) and (found := field_of(inner, rest, _NOTHING)) is not _NOTHING:
            return found
        more, dot, rest = rest.partition(".")
        first = f"{first}.{more}"
    return default


def path_of(schema: pa.Schema, key: str) -> tuple[str, list[str]] | None:
    """The column in which a key is, and the fields inside it, outermost first; None if there is no such column."""
    if key in schema.names:
        return key, []
    for name in schema.names:
        if key.startswith(f"{name}.") and (inner := _inside(schema.field(name).type, key[len(name) + 1 :])):
            return name, inner
    return None


def type_of(schema: pa.Schema, key: str) -> pa.DataType | None:
    """The type of what a key names; None if there is no such column."""
    path = path_of(schema, key)
    if path is None:
        return None
    kind = schema.field(path[0]).type
    for name in path[1]:
        kind = kind.field(name).type
    return kind


def column_of(batch: pa.RecordBatch, key: str) -> pa.Array | None:
    """(n,) what a key names in each row, null where what it is in is null; None if there is no such column."""
    path = path_of(batch.schema, key)
    if path is None:
        return None
    column = batch.column(path[0])
    return pc.struct_field(column, path[1]) if path[1] else column


def _inside(kind: pa.DataType, key: str) -> list[str]:
    """The fields that lead from a struct to a key, outermost first; [] if none do."""
    if not pa.types.is_struct(kind):
        return []
    names = [kind.field(at).name for at in range(kind.num_fields)]
    if key in names:
        return [key]
    for name in names:
        if key.startswith(f"{name}.") and (inner := _inside(kind.field(name).type, key[len(name) + 1 :])):
            return [name, *inner]
    return []


_NOTHING = object()
