"""Fullness: a warning, in Python, when a memory in this process holds more than its matrices recall.

Covers: when it is looked at, saying it once for every doubling. Does not cover: the law (planning/capacity.py).
"""

import warnings
from dataclasses import dataclass

from memo_dist.errors import MissingExtraError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.repetition import Repetition
from memo_dist.shard import Shard

_LIGHT = 0.02  # tokens a parameter that every memory recalls


@dataclass(frozen=True)
class Holding:
    """What a memory in this process holds, as the capacity law takes it."""

    config: MemoryConfig
    tokens: int
    documents: int
    associations: int
    repetition: Repetition | None = None
    bits: int = 0


class Fullness:
    """Of one memory; the law is asked seldom, as its associations have to be counted."""

    def __init__(self) -> None:
        self._tokens: int | None = None  # that it holds
        self._next = 0  # that it holds when it is next looked at

    def grew(self, shard: Shard, tokens: int) -> None:
        """Warn, with UserWarning, if a memory that has grown recalls too little; without SciPy nothing is known.

        Args:
            tokens: that were added.
        """
        self._tokens = shard.registry.num_tokens if self._tokens is None else self._tokens + tokens
        if self._tokens < max(self._next, _LIGHT * shard.config.num_parameters):
            return
        self._next = 2 * self._tokens
        from memo_dist.planning.capacity import overload_told

        held = Holding(shard.config, self._tokens, len(shard.registry), shard.num_associations)
        try:
            told = overload_told(held)
        except MissingExtraError:
            return
        if told:
            warnings.warn(
                f"{told}: make the memory with a larger num_banks, or by memo_dist.build, which chooses it",
                stacklevel=4,
            )
