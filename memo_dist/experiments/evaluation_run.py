"""Evaluations: one run is a frozen dataclass of settings; its row has these settings as columns, and what was found.

Covers: which runs have no row yet, so that a stopped evaluation goes on. Does not cover: keeping rows (rows.py), what
one run measures (the files beside this one).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar


class Settings(Protocol):
    """What is measured at once: a run that knows its row."""

    def made(self, row: Any) -> bool:
        """Whether a row is this run's."""


One = TypeVar("One", bound=Settings)


class Run:
    """What a dataclass of settings inherits: it knows its row by them."""

    def made(self, row: Any) -> bool:
        """Whether a row is this run's: every setting is equal."""
        settings = asdict(self)  # type: ignore[call-overload]  # whatever inherits this is a dataclass
        return all(getattr(row, name) == value for name, value in settings.items())


def missing_of(runs: Sequence[One], rows: Iterable[Any]) -> list[One]:
    """The runs that none of the rows is of, in order."""
    known = list(rows)
    return [run for run in runs if not any(run.made(row) for row in known)]
