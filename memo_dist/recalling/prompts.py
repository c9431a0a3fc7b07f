"""Prompts: reading the questions of a recall job from a file, row by row.

Covers: .jsonl and .parquet rows with `text` or `tokens` and perhaps `id`, other files line by line. Does not cover:
tokenizing and asking (session.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memo_dist.errors import InputError, PromptError
from memo_dist.json_text import parse_json

_ROWS = 4096  # of a parquet file read at a time


@dataclass(frozen=True)
class PromptRow:
    """A question of a file: its id, else the number of its row from 1 on; and a text or token ids."""

    id: str
    asked: "str | list[int]"


def read_prompts(path: Path) -> Iterator[PromptRow]:
    """The prompts of a file, in order, without holding them all; blank lines are none.

    Raises:
        InputError: the file cannot be read. PromptError: a row is no prompt; it is named.
    """
    try:
        if path.suffix == ".parquet":
            yield from _parquet_rows(path)
        else:
            with open(path, encoding="utf-8", newline="\n") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield _line(line.rstrip("\n").removesuffix("\r"), number, path)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
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


def _line(line: str, number: int, path: Path) -> PromptRow:
    if path.suffix != ".jsonl":
        return PromptRow(str(number), line)
    where = f"{path} line {number}"
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
