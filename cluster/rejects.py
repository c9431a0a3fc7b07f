"""Rejects: the list of rows and files that --errors skip has left out, beside the memory.

Covers: where it is, writing it. Does not cover: what is left out, and why (pipelines/reading.py).
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from memo_dist.batches import Reject
from memo_dist.durable import write_text, writing


def rejects_path(memory: Path) -> Path:
    """`NAME.rejects.jsonl` for the memory `NAME.memo`."""
    return memory.with_name(f"{memory.stem}.rejects.jsonl")


def write_rejects(memory: Path, rejects: Iterable[Reject]) -> Path | None:
    """Write the list, a line {"place", "reason"} for each, sorted by place, over that of a command before; the file,
    or None where there is nothing to say.

    Raises:
        StorageError: it cannot be written.
    """
    lines = [json.dumps({"place": place, "reason": reason}) + "\n" for place, reason in sorted(rejects)]
    if not lines:
        return None
    path = rejects_path(memory)
    with writing(path):
        write_text(path, "".join(lines))
    return path


def bring_rejects(memory: Path) -> Path | None:
    """Move the list of a memory that is only made where it is to the working directory; None where there is none.

    Raises:
        StorageError: it cannot be written there.
    """
    path = rejects_path(memory)
    if not path.exists():
        return None
    with writing(Path(path.name)):
        shutil.move(path, path.name)
    return Path(path.name)
