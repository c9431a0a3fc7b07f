"""UnderWay: the splits that are started and not yet answered by every shard, bounded in number.

Covers: which answer belongs to which split, when a split is complete, when no other may start. Knows nothing of Ray.
Does not cover: starting splits and waiting for answers (feed.py).
"""

from collections.abc import Iterable
from typing import Any


class UnderWay:
    """At most `limit` splits; each waits for one answer from each shard.

    Args:
        limit: splits under way at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._split_of: dict[Any, int] = {}  # reference of an answer -> its split
        self._answers: dict[int, list[Any]] = {}
        self._missing: dict[int, int] = {}  # split -> answers that it waits for

    def __len__(self) -> int:
        return len(self._missing)

    @property
    def full(self) -> bool:
        """Whether no other split may start."""
        return len(self._missing) >= self._limit

    @property
    def references(self) -> list[Any]:
        """Of all answers that are waited for."""
        return list(self._split_of)

    def start(self, split: int, references: Iterable[Any]) -> None:
        """A split is under way; `references` are those of its answers, one for each shard."""
        waited = list(references)
        self._split_of |= dict.fromkeys(waited, split)
        self._answers[split], self._missing[split] = [], len(waited)

    def answer(self, reference: Any, value: Any) -> list[Any] | None:
        """Take an answer; all answers of its split if that is complete now, which makes room for another."""
        split = self._split_of.pop(reference)
        self._answers[split].append(value)
        self._missing[split] -= 1
        if self._missing[split]:
            return None
        del self._missing[split]
        return self._answers.pop(split)
