"""Pending: associations that wait to be merged into the ledger.

Covers: collecting, and handing out. Does not cover: merging (models/text/ledger.py).
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from memo_dist.models.text.associations import Associations

_SIGNS = (1, -1)  # what is memorized goes before what is forgotten, so forgetting finds what the same batch memorized


class Pending:
    """Signed associations in the array library's memory.

    Args:
        limit: the number of associations at which they should be taken.
    """

    def __init__(self, limit: int, xp: ModuleType = np) -> None:
        self._limit, self._xp, self._count = limit, xp, 0
        self._waiting: dict[int, list[Associations]] = {sign: [] for sign in _SIGNS}

    @property
    def full(self) -> bool:
        """Whether they should be taken now."""
        return self._count >= self._limit

    def add(self, associations: Associations, sign: int) -> None:
        """Keep some, to be added (1) or taken away (-1)."""
        self._waiting[sign].append(associations)
        self._count += len(associations)

    def take(self) -> Iterator[tuple[int, Associations]]:
        """Hand out and drop all of them as (sign, associations); must be exhausted."""
        self._count = 0
        for sign, waiting in self._waiting.items():
            if waiting:
                names = self._xp.concatenate([w.names for w in waiting])
                tokens = self._xp.concatenate([w.tokens for w in waiting])
                waiting.clear()
                yield sign, Associations(names, tokens)
