"""Prompts: reading the questions of a recall job from a file, row by row.

Covers: JSON lines and .parquet rows with `text` or `tokens` and perhaps `id`, other files and standard input line by
line. Does not cover: which files are JSON lines (line_files.py), tokenizing and asking (session.py).
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.errors import InputError, PromptError
from memo_dist.json_text import parse_json
from memo_dist.recalling.line_files import UNREADABLE, holds_objects, open_lines

STANDARD_INPUT = "-"
_ROWS = 4096  # of a parquet file read at a time


@dataclass(frozen=True)
class PromptRow:
    """A question: its id, else its number from 1 on; a text or token ids; whether a file has it."""

    id: str
    asked: "str | list[int]"
    of_file: bool = True


def read_prompts(path: Path) -> Iterator[PromptRow]:
    """The prompts of a file, in order, without holding them all; blank lines are none.

    Of standard input, `-`, each line is a prompt; if the first is a JSON object with a text or token ids, all are such.

    Raises:
        InputError: the file cannot be read. PromptError: a row is no prompt; it is named.
    """
    try:
        if str(path) == STANDARD_INPUT:
            yield from _standard_input()
        elif path.suffix == ".parquet":
            yield from _parquet_rows(path)
        else:
            of_objects = holds_objects(path)
            with open_lines(path) as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield _line(line, number, str(path), of_objects=of_objects)
    except (*UNREADABLE, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as prompts: {error}") from error


def _parquet_rows(path: Path) -> Iterator[PromptRow]:
    with pq.ParquetFile(path) as file:
        names = [name for name in ("id", "text", "tokens") if name in file.schema_arrow.names]
        if "text" not in names and "tokens" not in names:
            raise PromptError(f"{path} has columns {file.schema_arrow.names}; expected 'text' or 'tokens'")
        number = 0
        for batch in file.iter_batches(_ROWS, columns=names):
            for row in batch.to_pylist():
                number += 1
                yield _prompt({k: v for k, v in row.items() if v is not None}, number, f"{path} row {number}")


def _standard_input() -> Iterator[PromptRow]:
    of_objects: bool | None = None
    for number, line in enumerate(sys.stdin.buffer, start=1):
        text = line.decode()
        if text.strip():
            of_objects = _is_object(text) if of_objects is None else of_objects
            yield _line(text, number, "standard input", of_objects=of_objects)


def _is_object(line: str) -> bool:
    """Whether a line is a JSON object that can be a prompt, rather than a text."""
    try:
        row = parse_json(line)
    except ValueError:
        return False
    return isinstance(row, dict) and bool({"text", "tokens"} & set(row))


def _line(line: str, number: int, place: str, *, of_objects: bool) -> PromptRow:
    line = line.rstrip("\n").removesuffix("\r")
    if not of_objects:
        return PromptRow(str(number), line)
    where = f"{place} line {number}"
    try:
        row = parse_json(line)
    except ValueError as error:
        raise PromptError(f"{where} is not JSON: {error}") from error
    return _prompt(row, number, where)


def _prompt(row: Any, number: int, where: str) -> PromptRow:
    try:
        name = str(row.get("id", number))
        if "tokens" in row:
            return PromptRow(name, [int(token) for token in row["tokens"]])
        text = row["text"]
        text.encode()  # a lone surrogate, which JSON can spell, is no text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(
            f"{where} is not an object with a text in 'text' or token ids in 'tokens': {error!r}"
        ) from error
    return PromptRow(name, str(text))
