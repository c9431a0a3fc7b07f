"""Result: what answers, traced texts and evaluations have in common: a table of them, and a look in a notebook.

Covers: Arrow tables of dataclasses, by their fields; tables in HTML. Does not cover: what the fields mean
(recalling/recall.py, recalling/trace.py, measuring/evaluation.py).
"""

import html
import types
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

_KINDS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_LONGEST = 200  # characters of a text that a repr shows


class Result:
    """A dataclass that is told as a row of an Arrow table and, in a notebook, as a table of its fields."""

    def to_arrow(self) -> pa.Table:
        """One row, with a column for each field; a dictionary's column is a list of keys and values."""
        return table_of([self], type(self))

    def _repr_html_(self) -> str:
        return html_table(_facts(self).items())


def table_of(rows: Sequence[Any], kind: type[Any]) -> pa.Table:
    """Dataclasses of the class `kind` as an Arrow table: a row each, a column for each field.

    A field that is a text or token ids becomes a text: the ids, with spaces between them.
    """
    hints = get_type_hints(kind)
    schema = pa.schema([(field.name, _kind(hints[field.name])) for field in fields(kind)])
    return pa.Table.from_pylist([_row(one, hints) for one in rows], schema)


def _row(one: Any, hints: dict[str, Any]) -> dict[str, Any]:
    told = asdict(one)
    for name, value in told.items():
        if isinstance(value, dict):
            told[name] = list(value.items())
        elif _is_text_or_ids(hints[name]) and not isinstance(value, str):
            told[name] = " ".join(map(str, value))
    return told


def _is_text_or_ids(hint: Any) -> bool:
    return {str, list[int]} <= set(get_args(hint))


def _kind(hint: Any) -> pa.DataType:
    """The Arrow type of a field's type."""
    if hint in _KINDS:
        return _KINDS[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        left = [part for part in parts if part is not type(None)]
        return pa.string() if _is_text_or_ids(hint) else _kind(left[0])
    if origin in (list, tuple):
        return pa.list_(_kind(parts[0]))
    if origin is dict:
        return pa.map_(_kind(parts[0]), _kind(parts[1]))
    if is_dataclass(hint):
        inner = get_type_hints(hint)
        return pa.struct([(field.name, _kind(inner[field.name])) for field in fields(hint)])
    raise TypeError(f"a field is {hint}, of which no column is made")


def _facts(result: Any) -> dict[str, Any]:
    """The fields that say something."""
    told = {field.name.replace("_", " "): getattr(result, field.name) for field in fields(result)}
    return {name: value for name, value in told.items() if value not in (None, "", [], {})}


def html_table(rows: Iterable[tuple[str, Any]]) -> str:
    """Names and values as a table of HTML; everything in it is text."""
    lines = [
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left;white-space:pre-wrap'>{html.escape(_shown(value))}</td></tr>"
        for name, value in rows
    ]
    return f"<table>{''.join(lines)}</table>"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def shortened(value: Any) -> str:
    """The repr of a text or of token ids; of a long one its beginning and its length."""
    if len(value) <= _LONGEST:
        return repr(value)
    what = "characters" if isinstance(value, str) else "tokens"
    return f"{value[:_LONGEST]!r}... of {len(value):,} {what}"
