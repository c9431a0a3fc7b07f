"""UnderWay: the units that are started and not yet answered by every shard, bounded in number.

Covers: which answer belongs to which unit, when a unit is complete, when no other may start. Knows nothing of Ray. Does
not cover: starting units and waiting for answers (feed.py).
"""

from collections.abc import Iterable
from typing import Any


class UnderWay:
    """At most `limit` units; each waits for one answer from each shard.

    Args:
        limit: units under way at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unit_of: dict[Any, int] = {}  # reference of an answer -> its unit
        self._answers: dict[int, list[Any]] = {}
        self._missing: dict[int, int] = {}  # unit -> answers that it waits for

    def __len__(self) -> int:
        return len(self._missing)

    @property
    def full(self) -> bool:
        """Whether no other unit may start."""
        return len(self._missing) >= self._limit

    @property
    def references(self) -> list[Any]:
        """Of all answers that are waited for."""
        return list(self._unit_of)

    def start(self, unit: int, references: Iterable[Any]) -> None:
        """A unit is under way; `references` are those of its answers, one for each shard."""
        waited = list(references)
        self._unit_of |= dict.fromkeys(waited, unit)
        self._answers[unit], self._missing[unit] = [], len(waited)

    def answer(self, reference: Any, value: Any) -> list[Any] | None:
        """Take an answer; all answers of its unit if that is complete now, which makes room for another."""
        unit = self._unit_of.pop(reference)
        self._answers[unit].append(value)
        self._missing[unit] -= 1
        if self._missing[unit]:
            return None
        del self._missing[unit]
        return self._answers.pop(unit)
