"""Texts that a user names by a file or `-`, read as they are: line ends are part of a text."""

from pathlib import Path

import typer

from memo_dist.errors import InputError

STANDARD_INPUT = "-"


def read_text(path: Path, flag: str) -> str:
    """The text of a file, or of standard input.

    Args:
        flag: that named it, for the error.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        if str(path) == STANDARD_INPUT:
            return bytes(typer.get_binary_stream("stdin").read()).decode()
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{flag} {path} cannot be read: {error}") from error
