"""Candidates: what cleanup returns, whatever the preset; the search for the best columns of a row of scores.

Covers: results, the protocol of cleanups, the search. Does not cover: evidence (text/cleanup.py, paper/cleanup.py).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, largest, namespace
from memo_dist.models.cues import Encoder

BLOCK = 64  # columns whose maximum is looked at first when the best are sought
SCORES_AT_ONCE = 1 << 24  # float32 scores held at a time: 64 MiB
_LOW = 2**32 - 1  # the half of a key that holds a column, turned around


@dataclass(frozen=True)
class Alternative:
    """A token that a context may go on with.

    Attributes:
        token: its id; V is "end of document".
        score: log-odds, natural logarithm.
        count: how often it follows the longest window that is held; None where the memory does not count.
        probability: that it is the next one; None until an answer is told.
        text: that it adds; None of bare token ids, or until an answer is told.
    """

    token: int
    score: float
    count: int | None = None
    probability: float | None = None
    text: str | None = None


@dataclass(frozen=True)
class Candidates:
    """The best `k` tokens of n queries, best first.

    Attributes:
        tokens: (n, k) int64; V is "end of document".
        log_odds: (n, k) float64, natural logarithm.
        layer_scores: (n, k, R) float64; text: z_l(v), 0 for layers that the context does not fill; paper: r E[v]^T.
    """

    tokens: np.ndarray
    log_odds: np.ndarray
    layer_scores: np.ndarray

    def alternatives(self, row: int, count: int) -> list[Alternative]:
        """The best `count` of one query."""
        best = zip(self.tokens[row, :count].tolist(), self.log_odds[row, :count].tolist(), strict=True)
        return [Alternative(token, score) for token, score in best]


class Cleanup(Protocol):
    """Vectors -> tokens, for cues of one encoder."""

    @property
    def encoder(self) -> Encoder:
        """Whose cues these are."""
        ...

    def rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int = 1) -> Candidates:
        """The `top_k` tokens of the highest log-odds.

        Args:
            reads: (n, R, d) as `encoder.retrieve` gives them.
            filled: (n, L) bool, as in the cues.
        """
        ...

    def several(self, reads: np.ndarray, filled: np.ndarray, count: int) -> Candidates:
        """Up to `count` tokens that follow the same context, where the model can tell them apart better than by
        ranking: then log-odds are of what is read when all others that follow are taken away."""
        ...

    def with_prior(self, counts: np.ndarray | None) -> "Cleanup":
        """The same cleanup of a memory that holds other associations; `counts` as of Reader.token_counts."""
        ...

    def is_best(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Whether (n,) `tokens` are what `rank` puts first, (n,) bool; may be cheaper than ranking."""
        ...


def joined(parts: list[Candidates], width: int, top_k: int) -> Candidates:
    """Candidates of consecutive queries, put together; `width` is R."""
    if not parts:
        return Candidates(np.empty((0, top_k), np.int64), np.empty((0, top_k)), np.empty((0, top_k, width)))
    return Candidates(
        np.concatenate([p.tokens for p in parts]),
        np.concatenate([p.log_odds for p in parts]),
        np.concatenate([p.layer_scores for p in parts]),
    )


def best_columns(scores: Array, size: int, keep: int) -> Array:
    """(n, keep) int64: the columns below `size` with the highest scores, in no order. `scores` is overwritten.

    One pass finds each block's maximum; the best `keep` columns lie in the best `keep` blocks. The number of columns is
    a multiple of BLOCK.
    """
    xp = namespace(scores)
    scores[:, size:] = -np.inf
    blocks = scores.reshape(len(scores), -1, BLOCK)
    count = min(keep, blocks.shape[1])
    best = xp.argpartition(blocks.max(axis=2), -count, axis=1)[:, -count:]
    columns = (best[:, :, None] * BLOCK + xp.arange(BLOCK)).reshape(len(scores), -1)
    inside = xp.take_along_axis(scores, columns, axis=1)
    chosen = xp.argpartition(inside, -keep, axis=1)[:, -keep:]
    return xp.take_along_axis(columns, chosen, axis=1)


def best_whole(scores: Array, size: int, keep: int) -> Array:
    """As `best_columns` for whole numbers below 2^24, rising columns; of equal scores the lower column is better.

    So the answer is one set, the same in NumPy and CuPy, whatever the algorithm: what is partitioned are keys
    score * 2^32 + (2^32 - 1 - column), no two of which are equal. A column among the best lies in a block among the
    best by (highest score, lower block): a block before its own has a column that is before it.
    """
    xp = namespace(scores)
    scores[:, size:] = -(2.0**24)
    blocks = scores.reshape(len(scores), -1, BLOCK)
    best = first_columns(blocks.max(axis=2), xp.arange(blocks.shape[1])[None, :], min(keep, blocks.shape[1]))
    columns = (best[:, :, None] * BLOCK + xp.arange(BLOCK)).reshape(len(scores), -1)
    return xp.sort(first_columns(xp.take_along_axis(scores, columns, axis=1), columns, keep), axis=1)


def first_columns(scores: Array, columns: Array, count: int) -> Array:
    """(n, count) of the columns (n, m), those of the highest scores (n, m)."""
    keys = scores.astype(columns.dtype) * (_LOW + 1) + (_LOW - columns)
    return _LOW - (largest(keys, count) & _LOW)
