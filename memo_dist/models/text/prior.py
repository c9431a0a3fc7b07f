"""Prior: how likely each token is to follow any window, before the memory is read.

Covers: probabilities from the counts of what is held, in whole steps as searches add them. Does not cover: what they
do to log-odds (cleanup.py), where the counts come from (Reader.token_counts).

p(v) is the share of the distinct associations whose next token is v. A token of which none is held cannot be right as
long as the counts are those of the memory that is read, but its logarithm has to be finite, and a sum of counts may be
a little older than the cells: it weighs as half an association, less than any token that is held. Without counts all
tokens are equally likely.

A search compares whole numbers, so the prior enters it in whole steps: log p(v) - max log p, times what the search
scales evidence by, rounded. All are 0 where all tokens are equally likely. Searches by tables (search.py) know a
token's prior by one of 256 classes of equal width, and count what that leaves open as an error of theirs.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, to_device
from memo_dist.errors import ConfigError

FLOOR = 0.5  # associations that a token of which none is held weighs as
_CLASSES = 256  # as many as a byte names: one more octet of a code
_MOST_STEPS = 1 << 22  # of a prior: with 2^23 of evidence they stay whole numbers below 2^24


@dataclass(frozen=True)
class ClassTerms:
    """What is added to the score of each of m codes, as a search by tables takes it.

    Attributes:
        classes: (m,) uint8. values: (n, 256) float64, the term of each class for each of n queries.
        error: (n,) the most by which a code's term differs from its class's.
    """

    classes: np.ndarray
    values: np.ndarray
    error: np.ndarray

    def of(self, rows: np.ndarray) -> "ClassTerms":
        """Those of some queries."""
        return ClassTerms(self.classes, self.values[rows], self.error[rows])


class Prior:
    """Probabilities of the next token.

    Args:
        counts: (V + 1,) associations held whose next token is v; None: all tokens are equally likely.
        size: V + 1.
        xp: numpy or cupy, where whole steps are made.

    Attributes:
        log_p: (V + 1,) float64, natural logarithms that add up to 1.
        spread: max log p - min log p; 0 where all tokens are equally likely.

    Raises:
        ConfigError: there are not V + 1 counts, or some are below 0.
    """

    def __init__(self, counts: np.ndarray | None, size: int, xp: ModuleType = np) -> None:
        self.xp = xp
        held = np.ones(size) if counts is None else np.asarray(counts).astype(np.float64)
        if held.shape != (size,) or held.min() < 0:
            raise ConfigError(f"counts of next tokens have the shape {held.shape}; expected ({size},), none below 0")
        held = np.maximum(held, FLOOR)
        self.log_p = np.log(held) - np.log(held.sum())
        below = self.log_p - self.log_p.max()
        self.spread = -float(below.min())
        width = self.spread / _CLASSES
        self._width = width
        self._classes = np.minimum(below / -(width or 1.0), _CLASSES - 1).astype(np.uint8)
        self._below = to_device(below, xp)

    def limit(self, steps: Array) -> Array:
        """(n, 1) steps a unit of log p that a search would take -> at most as many as keep a prior below 2^22 steps."""
        return self.xp.minimum(steps, _MOST_STEPS / self.spread) if self.spread else steps

    def steps(self, scale: Array, tokens: Array | None = None) -> Array:
        """log p(v) - max log p in whole steps of 1 / scale, float32.

        Args:
            scale: (n, 1) steps a unit.
            tokens: (n, k) of which; None: all, in a row, (n, V + 1).
        """
        below = self._below[None, :] if tokens is None else self._below[tokens]
        return self.xp.rint(scale * below).astype(self.xp.float32)

    def terms(self, scale: np.ndarray) -> ClassTerms | None:
        """The same steps class by class; None where all are 0."""
        if not self.spread:
            return None
        centres = -(np.arange(_CLASSES) + 0.5) * self._width
        return ClassTerms(self._classes, scale * centres, scale[:, 0] * self._width / 2 + 0.5)  # steps are rounded
