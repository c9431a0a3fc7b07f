"""Reflection: a question with its answer, drawn from documents; a line of a file reflections.jsonl.

Covers: the row, reading a file of them, what is refused. Does not cover: forms of a question (forms.py), memorizing
(memorizing.py).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from memo_dist.recalling.questions import is_unicode

_TEXTS, _LISTS = ("id", "question", "answer", "step"), ("forms", "entities", "docs")
_NEEDED = ("id", "question", "answer")


@dataclass(frozen=True)
class Reflection:
    """A question, its answer, and where both come from.

    Attributes:
        id: names the row in its file; the last row of an id counts.
        question, answer: texts.
        forms: other ways to ask the question.
        entities: names of what the question and the answer are about.
        step: what made the row, for people.
        docs: ids of the documents that the answer was drawn from; forgetting any of them forgets the reflection.
    """

    id: str
    question: str
    answer: str
    forms: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    step: str = ""
    docs: tuple[str, ...] = ()

    @property
    def questions(self) -> tuple[str, ...]:
        """The question and its other forms."""
        return (self.question, *self.forms)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def read_reflections(path: str | Path) -> Iterator[Reflection]:
    """The reflections of a file, in its order; of several rows with one id the last alone.

    The file is read twice, and what is kept of it are its ids.

    Raises:
        InputError: the file cannot be read, has no reflection, or a row is none; file and line are named.
    """
    last = {row.id: line for line, row in _rows(path)}
    if not last:
        raise InputError(f"{path} holds no reflections; expected a JSON object a line, with {', '.join(_NEEDED)}")
    for line, row in _rows(path):
        if last.get(row.id) == line:
            yield row


def _rows(path: str | Path) -> Iterator[tuple[int, Reflection]]:
    """Each row with the number of its line."""
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _reflection(line, f"{path}, line {number}")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _reflection(line: bytes, place: str) -> Reflection:
    try:
        row = parse_json(line.decode("utf-8-sig"))
    except ValueError as error:  # also what is not UTF-8
        raise InputError(f"{place} is no JSON: {error}; expected an object with {', '.join(_NEEDED)}") from error
    if not isinstance(row, dict):
        raise InputError(f"{place} is {str(row)[:40]!r}; expected a JSON object with {', '.join(_NEEDED)}")
    texts = {name: _text(row.get(name, ""), name, place) for name in _TEXTS}
    for name in _NEEDED:
        if not texts[name].strip():
            raise InputError(f"{place} has no {name!r}; expected a text that says something")
    lists = {name: _list(row.get(name, []), name, place) for name in _LISTS}
    return Reflection(**texts, **lists)  # type: ignore[arg-type]  # each has the type of its name


def _text(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: {name!r} is {str(value)[:40]!r}; expected a text")
    if not is_unicode(value):
        raise InputError(f"{place}: {name!r} is not text that UTF-8 can spell: it has half a surrogate pair")
    return value


def _list(value: Any, name: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{place}: {name!r} is {str(value)[:40]!r}; expected a list of texts")
    return tuple(_text(one, f"{name}[{number}]", place) for number, one in enumerate(value))
