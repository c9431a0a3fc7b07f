"""Journal: a file of rows that are written as they come, and of which the last of a key counts.

Covers: a torn last line, two writers, the finished file. Does not cover: what rows hold.

While work is under way rows are added in the order in which they are done. A process that is killed leaves at most a
torn last line, which whoever goes on takes away. At the end the file is written anew, in the order of the work, with
one row a key: it does not depend on how often the work was stopped, nor on what came first.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memo_dist.durable import sync_directory, write_bytes, writing
from memo_dist.errors import FencedError, InputError
from memo_dist.json_text import parse_json

Row = dict[str, Any]  # has a "key", and an "error" if it failed


class Journal:
    """Rows by key, on disk.

    Args:
        path: the file; made if it is not there.

    Attributes:
        rows: the last row of each key.

    Raises:
        InputError: a line of the file is no row. FencedError: another process writes it.
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            self.rows = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def done(self, key: str) -> bool:
        """Whether this key has a row that is no error."""
        return "error" not in self.rows.get(key, {"error": ""})

    def add(self, row: Row) -> None:
        """Write a row; it takes the place of an earlier one of its key."""
        with writing(self.path):
            left = memoryview(_line(row))
            while len(left):
                left = left[os.write(self._file, left) :]
        self.rows[row["key"]] = row

    def finish(self, keys: Iterable[str]) -> None:
        """Write the file anew: the rows of these keys in this order, then those that this work has no use for."""
        order = dict.fromkeys(key for key in keys if key in self.rows)
        kept = [*order, *sorted(self.rows.keys() - order.keys())]
        content = b"".join(_line(self.rows[key]) for key in kept)
        with writing(self.path):
            if self.path.read_bytes() != content:
                write_bytes(self.path, content)
                sync_directory(self.path.parent)

    def _lock(self) -> None:
        busy = FencedError(f"another command writes {self.path}; wait until it is done, or choose another output")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        if not os.fstat(self._file).st_nlink:  # finished meanwhile
            raise busy

    def _read(self) -> dict[str, Row]:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with writing(self.path):
                os.ftruncate(self._file, whole)
        found: dict[str, Row] = {}
        for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
            try:
                row = parse_json(line)
                found[row["key"]] = row
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{self.path} line {number} is no row of this work ({error!r}); choose another output"
                ) from error
        return found


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
