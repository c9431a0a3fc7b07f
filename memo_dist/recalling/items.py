"""Items: reading the texts of a test set from a file, row by row.

Covers: JSON lines, .parquet, which field holds the text and which the id. Does not cover: prompts, which may
be token ids and lines (prompts.py), what a memory holds of items (contamination.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from memo_dist.recalling.line_files import ENDINGS, UNREADABLE, holds_objects, open_lines
from memo_dist.recalling.questions import is_unicode

_ROWS = 4096  # of a parquet file read at a time


@dataclass(frozen=True)
class Item:
    """A text of a test set: its id, else the number of its row from 1 on."""

    id: str
    text: str


def read_items(path: Path, field: str = "text") -> Iterator[Item]:
    """The items of a file, in order, without holding them all; blank lines are none.

    Args:
        field: that holds the text; the field `id` holds the id, if there is one.

    Raises:
        InputError: the file cannot be read, or a row is no item; it is named.
    """
    try:
        rows = _parquet_rows(path, field) if path.suffix == ".parquet" else _lines(path)
        for number, where, row in rows:
            if not isinstance(row, dict):
                raise InputError(f"{where} is {_kind(row)}; expected an object with a text in {field!r}")
            if field not in row:
                raise InputError(f"{where} has no field {field!r}, but {list(row)[:20]}; name one with --field")
            text = row[field]
            if not isinstance(text, str) or not is_unicode(text):
                raise InputError(f"{where}: {field!r} is {_kind(text)}; expected a text")
            yield Item(str(number if row.get("id") is None else row["id"]), text)
    except (*UNREADABLE, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as items: {error}; expected .parquet or {ENDINGS}") from error


def _lines(path: Path) -> Iterator[tuple[int, str, Any]]:
    if not holds_objects(path):
        raise InputError(f"{path} is no file of items; expected .parquet or {ENDINGS}")
    with open_lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield number, f"{path} line {number}", parse_json(line)
                except ValueError as error:
                    raise InputError(f"{path} line {number} is not JSON: {error}") from error


def _parquet_rows(path: Path, field: str) -> Iterator[tuple[int, str, Any]]:
    with pq.ParquetFile(path) as file:
        known = file.schema_arrow.names
        if field not in known:
            raise InputError(f"{path} has no column {field!r}, but {known[:20]}; name one with --field")
        number = 0
        for batch in file.iter_batches(_ROWS, columns=[name for name in dict.fromkeys(("id", field)) if name in known]):
            for row in batch.to_pylist():
                number += 1
                yield number, f"{path} row {number}", row


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing"
    kinds = {str: "text with half a surrogate pair", bool: "true or false", int: "a number", float: "a number"}
    return {**kinds, list: "a list", dict: "an object"}.get(type(value), f"of the type {type(value).__name__}")
