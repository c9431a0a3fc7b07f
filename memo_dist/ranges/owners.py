"""Owners: whoever has opened the ranges of a memory, asked for the rows of many at once.

Covers: the protocol, owners in this process. Does not cover: owners on other machines (cluster/bank_servers), what is
asked (part.py).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from memo_dist.ranges.part import MemoryPart
from memo_dist.ranges.rows import rows_of


class Owners(Protocol):
    """Answers rows of questions, each by an owner of its range."""

    def ask(self, question: str, ranges: np.ndarray, **columns: np.ndarray) -> list[tuple[np.ndarray, Any]]:
        """Ask every row once, in one call to each owner that is needed.

        Args:
            question: the name of a method of MemoryPart.
            ranges: (m,) of each row. columns: (m,) arrays that the method takes, row by row, by name.

        Returns:
            (rows, answer) of each call: the answer is that of the method to these rows.

        Raises:
            DamagedMemoryError: a file is not what it was. ClusterError: nobody who owns a range answers.
        """
        ...


class OwnersHere:
    """Parts of a memory in this process: what the protocol means.

    Args:
        parts: which together own every range.
    """

    def __init__(self, parts: Sequence[MemoryPart]) -> None:
        self._parts = parts
        self.calls = 0

    def ask(self, question: str, ranges: np.ndarray, **columns: np.ndarray) -> list[tuple[np.ndarray, Any]]:
        owner = {one: index for index, part in enumerate(self._parts) for one in part.ranges}
        chosen = np.array([owner[one] for one in ranges.tolist()], np.int64)
        found = []
        for index, rows in rows_of(chosen):
            self.calls += 1
            mine = {name: column[rows] for name, column in columns.items()}
            found.append((rows, self._parts[index].answer(question, ranges[rows], **mine)))
        return found
