"""Repetition: how a text repeats itself, as far as a capacity law needs to know; and how much text there is.

Covers: the figures, and how they grow with the text. Does not cover: measuring them on a sample
(planning/repetition.py), what they do to recall (text/capacity.py).

The figures grow with the text. Of T tokens a sample of t says, by Heaps' law in each layer,
    distinct(T) = distinct(t) (T / t)^growth,    following(T) = following(t) (T / t)^spread,
    missed(T) = missed(t) (T / t)^missing.
How likely tokens are is told relative to a vocabulary of V tokens that are equally likely, as log(p (V + 1)).
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
        growth, spread, missing: (L,) exponents.
        missed: (L,) share of positions at which the token that mostly follows the window is not the next one.
        vocabulary: classes of tokens, each (share of the vocabulary, how likely each is).
        contexts: classes of whole contexts, each (share of positions, chance that a token drawn from those that follow
            the whole context is right, relative to the best choice, how likely the next token is, tokens that follow
            its window of layer 0, 1, ...).
    """

    tokens: int
    distinct: tuple[float, ...]
    growth: tuple[float, ...]
    spread: tuple[float, ...]
    missed: tuple[float, ...]
    missing: tuple[float, ...]
    vocabulary: tuple[tuple[float, float], ...]
    contexts: tuple[tuple[float, ...], ...]

    def associations(self, tokens: int) -> float:
        """Distinct associations that `tokens` tokens of this kind of text give."""
        more = tokens / self.tokens
        return float(
            sum(tokens * min(1.0, a * more ** (b - 1)) for a, b in zip(self.distinct, self.growth, strict=True))
        )

    def following(self, tokens: int) -> np.ndarray:
        """(classes, L): tokens that follow each window in a text of `tokens` tokens; not rising, 1 or more."""
        counts = self._table[:, 3:] * (tokens / self.tokens) ** np.array(self.spread)
        return np.asarray(np.maximum(1.0, np.minimum.accumulate(counts, axis=1)))

    def decided(self, tokens: int) -> np.ndarray:
        """(L,) share of positions whose window decides the next token, in a text of `tokens` tokens: the token that
        mostly follows it is the next one."""
        missed = np.array(self.missed) * (tokens / self.tokens) ** np.array(self.missing)
        return np.asarray(1 - np.minimum(missed, 1.0))

    @property
    def likely(self) -> np.ndarray:
        """(classes,) how likely the next token is, log(p (V + 1))."""
        return np.asarray(self._table[:, 2])

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
        rows: dict[str, Any] = {n: tuple(tuple(row) for row in values[n]) for n in ("vocabulary", "contexts")}
        each: dict[str, Any] = {n: tuple(values[n]) for n in ("distinct", "growth", "spread", "missed", "missing")}
        return cls(tokens=values["tokens"], **each, **rows)


def unrepeated(layers: int) -> Repetition:
    """Text that never repeats itself, of tokens that are equally likely: the most associations there can be, one token
    after every window."""
    ones, zeros = (1.0,) * layers, (0.0,) * layers
    return Repetition(
        tokens=1,
        distinct=ones,
        growth=ones,
        spread=zeros,
        missed=zeros,
        missing=zeros,
        vocabulary=((1.0, 0.0),),
        contexts=((1.0, 1.0, 0.0, *ones),),
    )


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


@dataclass(frozen=True)
class Answered:
    """How often the next token is right after a prompt that fills the windows up to one, in texts that were memorized.

    Attributes:
        window: in units.
        exact: by counting what follows the window. matrices: by what is read from the matrices.
    """

    window: int
    exact: float
    matrices: float
