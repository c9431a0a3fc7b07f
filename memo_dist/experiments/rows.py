"""RowFile: results of an experiment, one line of CSV a row, kept as they come, so that a stopped run goes on.

Covers: appending durably, reading back, refusing another experiment's rows. Does not cover: summaries (report.py).
"""

import csv
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from memo_dist.durable import writing
from memo_dist.errors import InputError

Row = TypeVar("Row")


class RowFile(Generic[Row]):
    """A CSV file of one dataclass's rows.

    Args:
        path: the file; made by the first row.
        kind: the dataclass; its fields are the columns.

    Raises:
        InputError: the file is there and has other columns, or a line that is no row.
    """

    def __init__(self, path: Path, kind: type[Row]) -> None:
        self.path, self._kind = path, kind
        self._types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
        self.rows: list[Row] = self._read() if path.exists() else []

    def _read(self) -> list[Row]:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]  # a killed run may leave half a line
        if len(whole) < len(data):
            with writing(self.path):
                os.truncate(self.path, len(whole))
        lines = list(csv.reader(whole.decode("utf-8", "replace").splitlines()))
        if lines and lines[0] != list(self._types):
            raise InputError(
                f"{self.path} has the columns {lines[0]}; expected {list(self._types)}. Choose another --out"
            )
        return [self._parse(line, number) for number, line in enumerate(lines[1:], start=2)]

    def _parse(self, line: list[str], number: int) -> Row:
        try:
            values = zip(self._types.items(), line, strict=True)
            return self._kind(**{name: _convert(kind, text) for (name, kind), text in values})
        except ValueError as error:
            raise InputError(f"{self.path} line {number} is not a row ({error}); remove the line") from error

    def append(self, row: Row) -> None:
        """Keep one more row, durably.

        Raises:
            StorageError: it cannot be written.
        """
        with writing(self.path), open(self.path, "a", encoding="utf-8", newline="") as handle:
            out = csv.writer(handle, lineterminator="\n")
            if not handle.tell():
                out.writerow(self._types)
            out.writerow(asdict(row).values())  # type: ignore[call-overload]
            handle.flush()
            os.fsync(handle.fileno())
        self.rows.append(row)


def _convert(kind: Any, text: str) -> Any:
    return {"int": int, "float": float, "str": str, int: int, float: float, str: str}[kind](text)
