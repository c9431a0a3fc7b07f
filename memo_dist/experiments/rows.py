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
        self._types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]  # Row is a dataclass
        self.rows: list[Row] = self._read() if path.exists() else []

    def _read(self) -> list[Row]:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error}. Choose another --out") from error
        whole = data[: data.rfind(b"\n") + 1]  # a killed run may leave half a line
        first, *lines = data.decode("utf-8", "replace").splitlines() or [""]
        header = ",".join(self._types)
        if first != header if whole else not header.startswith(first):
            raise InputError(f"{self.path} has the columns {first!r}; expected {header!r}. Choose another --out")
        kept = lines if len(whole) == len(data) else lines[:-1]
        rows = [self._parse(line, number) for number, line in enumerate(kept, start=2)]
        if len(whole) < len(data):
            with writing(self.path):
                os.truncate(self.path, len(whole))
        return rows

    def _parse(self, line: str, number: int) -> Row:
        try:
            values = zip(self._types.items(), next(csv.reader([line])), strict=True)
            return self._kind(**{name: _convert(kind, text) for (name, kind), text in values})
        except (ValueError, csv.Error) as error:
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
            out.writerow(asdict(row).values())  # type: ignore[call-overload]  # Row is a dataclass
            handle.flush()
            os.fsync(handle.fileno())
        self.rows.append(row)


def _convert(kind: Any, text: str) -> Any:
    return {"int": int, "float": float, "str": str, int: int, float: float, str: str}[kind](text)
