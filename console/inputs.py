"""Inputs: what stands in the place of INPUT: the lines of a list, and the standard input.

Covers: --from-list, "-" put into a file for as long as the command runs. Does not cover: which files an input names
(pipelines/find.py).
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memo_dist.errors import InputError

STANDARD_INPUT = "-"


@contextmanager
def taken_inputs(inputs: list[str] | None, from_list: str | None) -> Iterator[list[str] | None]:
    """The inputs of a command, those of a list behind the others; a corpus is read several times, so what comes from
    the standard input is kept in the directory for temporary files until the block ends.

    Raises:
        InputError: the list cannot be read or names nothing, or "-" is given twice or at a terminal.
    """
    given = [*(inputs or []), *(_listed(from_list) if from_list is not None else [])]
    if STANDARD_INPUT not in given:
        yield given or inputs
        return
    if given.count(STANDARD_INPUT) > 1 or sys.stdin is None or sys.stdin.isatty():
        raise InputError("- reads the standard input, which is to be a pipe or a file, and can be read once")
    from pipelines.find import SPOOLED

    with tempfile.TemporaryDirectory(prefix=SPOOLED) as folder:
        path = Path(folder, STANDARD_INPUT)
        with open(path, "wb") as handle:
            shutil.copyfileobj(sys.stdin.buffer, handle)
        yield [str(path) if item == STANDARD_INPUT else item for item in given]


def _listed(name: str) -> list[str]:
    """The lines of a list that are not blank."""
    from pipelines.compression import COMPRESSIONS, open_decompressed

    try:
        with open_decompressed(name, COMPRESSIONS.get(Path(name).suffix.lower())) as handle:
            lines = handle.read().decode().splitlines()
    except Exception as error:  # of codecs and file systems, each its own
        raise InputError(f"--from-list {name} cannot be read as lines of text: {error}") from error
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise InputError(f"--from-list {name} names nothing; expected a file, directory, glob or URL in each line")
    return found
