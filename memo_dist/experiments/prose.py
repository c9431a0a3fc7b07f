"""Prose that comes with every Python: paragraphs of its reference, then docstrings of its standard library.

Covers: text for evaluations that need real text and no download; a file instead. Does not cover: memories.

It is another text in another release of Python; figures say of which they are.
"""

import ast
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from memo_dist.errors import InputError

_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data", "__pycache__"}


def name_of(text: Path | None) -> str:
    """How a text is called in rows."""
    return f"prose of Python {platform.python_version()}" if text is None else text.name


def paragraphs(text: Path | None, *, characters: int | None = None) -> list[str]:
    """Different paragraphs in order; with `characters`, no more than are so long together, if there are as many.

    Args:
        text: a file in UTF-8; None for the prose of Python.

    Raises:
        InputError: the file cannot be read or is no text, or this Python comes without its reference.
    """
    found: dict[str, None] = {}
    size = 0
    for piece in _python() if text is None else iter([_read(text)]):
        for paragraph in (one.strip() for one in piece.split("\n\n")):
            if paragraph and paragraph not in found:
                found[paragraph] = None
                size += len(paragraph)
        if characters is not None and size >= characters:
            break
    return list(found)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--text {path} cannot be read as UTF-8: {error}; give a text file") from error


def _python() -> Iterator[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise InputError("this Python comes without its reference (pydoc_data); give a text with --text") from error
    yield "\n\n".join(topics.values())
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if not _LEFT_OUT & set(path.relative_to(library).parts):
            yield "\n\n".join(_docstrings(path))


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # not prose, then
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
