"""Repetition: how a text repeats itself, as far as a capacity law needs to know; and how much text there is.

Covers: the figures, and how they grow with the text. Does not cover: measuring them on a sample
(planning/repetition.py), what they do to recall (text/capacity.py).

Both figures grow with the text. Of T tokens a sample of t says, by Heaps' law in each layer,
    distinct(T) = distinct(t) (T / t)^growth,    following(T) = following(t) (T / t)^spread.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Repetition:
    """How text repeats itself.

    Attributes:
        tokens: t, of the sample.
        distinct: (L,) distinct associations of each layer a token of the sample.
        growth, spread: (L,) exponents.
        contexts: classes of whole contexts, each (share of positions, chance that a token drawn from those that follow
            the whole context is right, relative to the best choice, tokens that follow its window of layer 0, 1, ...).
    """

    tokens: int
    distinct: tuple[float, ...]
    growth: tuple[float, ...]
    spread: tuple[float, ...]
    contexts: tuple[tuple[float, ...], ...]

    def associations(self, tokens: int) -> float:
        """Distinct associations that `tokens` tokens of this kind of text give."""
        more = tokens / self.tokens
        return float(
            sum(tokens * min(1.0, a * more ** (b - 1)) for a, b in zip(self.distinct, self.growth, strict=True))
        )

    def following(self, tokens: int) -> np.ndarray:
        """(classes, L): tokens that follow each window in a text of `tokens` tokens; not rising, 1 or more."""
        counts = self._table[:, 2:] * (tokens / self.tokens) ** np.array(self.spread)
        return np.asarray(np.maximum(1.0, np.minimum.accumulate(counts, axis=1)))

    @property
    def shares(self) -> np.ndarray:
        """(classes,) of positions; they add up to 1."""
        return np.asarray(self._table[:, 0] / self._table[:, 0].sum())

    @property
    def chances(self) -> np.ndarray:
        """(classes,) of the first of several tokens that follow a whole context to be right, relative to the best."""
        return np.asarray(self._table[:, 1])

    @cached_property
    def _table(self) -> np.ndarray:
        return np.array(self.contexts)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Repetition":
        """What `to_dict` gave, also by way of JSON."""
        return cls(
            tokens=values["tokens"],
            distinct=tuple(values["distinct"]),
            growth=tuple(values["growth"]),
            spread=tuple(values["spread"]),
            contexts=tuple(tuple(row) for row in values["contexts"]),
        )


def unrepeated(layers: int) -> Repetition:
    """Text that never repeats itself: the most associations there can be, one token after every window."""
    ones = (1.0,) * layers
    spread, contexts = (0.0,) * layers, ((1.0, 1.0, *ones),)
    return Repetition(tokens=1, distinct=ones, growth=ones, spread=spread, contexts=contexts)


@dataclass(frozen=True)
class TextSize:
    """How much text a memory holds or is to hold.

    Attributes:
        tokens, documents: their numbers.
        repetition: None: the text never repeats itself, as random tokens.
    """

    tokens: int
    documents: int
    repetition: Repetition | None = None
