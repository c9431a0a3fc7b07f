"""Line files: files of prompts and items that are read line by line, packed or not.

Covers: which endings mean JSON lines, opening. Does not cover: what a line is (prompts.py, items.py), corpora
(pipelines).
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from memo_dist.errors import InputError

_OBJECTS = (".jsonl", ".ndjson", ".json")
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ENDINGS = f"{' '.join(_OBJECTS)}, also with {' '.join(_PACKED)}"
"""Of files of JSON lines, for messages."""
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError, zlib.error)
"""What reading the lines of a file raises that is no such file."""


def holds_objects(path: Path) -> bool:
    """Whether each line of a file is a JSON object, by its name."""
    name = path.with_suffix("") if path.suffix.lower() in _PACKED else path
    return name.suffix.lower() in _OBJECTS


def open_lines(path: Path) -> AbstractContextManager[IO[str]]:
    """A file's text, of which only "\\n" ends a line.

    Raises:
        InputError: it is packed as nothing here unpacks. UNREADABLE: it cannot be read, then or later.
    """
    suffix = path.suffix.lower()
    if suffix in (".zst", ".zip", ".7z"):
        raise InputError(f"{path} is packed as {suffix}; expected one of {' '.join(_PACKED)}: unpack it first")
    opened: AbstractContextManager[IO[str]] = _PACKED.get(suffix, open)(path, "rt", encoding="utf-8", newline="\n")
    return opened
