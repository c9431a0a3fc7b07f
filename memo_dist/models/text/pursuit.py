"""Matching pursuit: the set of tokens that follow one context, taken from its reads one after the other.

Covers: which tokens are taken, when that ends, their log-odds; for many contexts at once, and in plain form for one.
Does not cover: log-odds of one token (cleanup.py).

A window that n tokens follow reads as d (O[v_1] + ... + O[v_n]) and noise, and each value is noise to the others, 1 / d
of it. So the surest token is taken, its value d O[v] is subtracted from the read of every layer that holds it, and the
codebook is searched again, with less noise (Mallat and Zhang, 1993). A token that continues the whole context is held
by all filled layers, for what follows a long window follows the short ones. The search ends at the noise floor: where
no token is left with log-odds above -3, one to twenty. That is below even odds because others may still be loud; in the
end each token is scored once more, on the reads without the others that were taken, and those log-odds alone say how
sure it is. So it does not matter which was first, and a token that was taken in vain does little harm, 1 / d of noise.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array, namespace, to_device, to_host
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Candidates

MOST = 32  # tokens that are taken, if no more are asked for
_FLOOR = -3.0  # log-odds that a token must exceed to be taken
_MAYBE = -8.0  # log-odds of the second token below which the first is taken to be alone


class Ranking(Protocol):
    """What pursuit needs of a cleanup."""

    @property
    def config(self) -> MemoryConfig: ...
    @property
    def codebook(self) -> Array: ...
    def rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int = 1) -> Candidates: ...
    def score(self, reads: Array, filled: np.ndarray, tokens: Array) -> Candidates: ...


def pursue(cleanup: Ranking, reads: np.ndarray, filled: np.ndarray, *, count: int) -> Candidates:
    """The `count` tokens of the highest log-odds, each without the noise of the others that follow.

    Args:
        reads: (n, L, d) int32. filled: (n, L) bool.

    Where one token is plainly alone, they are as ranked, since there is nothing to take away. At least MOST tokens are
    taken where so many follow, so that fewer asked for are the beginning of more.
    """
    listed = min(max(count, 2), cleanup.config.vocab_size + 1)
    ranked = cleanup.rank(reads, filled, listed)
    several = np.flatnonzero(ranked.log_odds[:, 1] > _MAYBE)
    if len(several):
        found = _pursued(cleanup, reads[several], filled[several], count=listed)
        ranked.tokens[several], ranked.log_odds[several] = found.tokens, found.log_odds
        ranked.layer_scores[several] = found.layer_scores
    return Candidates(ranked.tokens[:, :count], ranked.log_odds[:, :count], ranked.layer_scores[:, :count])


def _pursued(cleanup: Ranking, reads: np.ndarray, filled: np.ndarray, *, count: int) -> Candidates:
    """`pursue` for contexts that several tokens may follow."""
    rest, going = reads.copy(), np.arange(len(reads))
    taken = np.full((len(reads), 0), -1)
    while len(going) and taken.shape[1] < max(count, MOST):
        turn = taken.shape[1]
        best = cleanup.rank(rest[going], filled[going], turn + 1)
        known = (best.tokens[:, :, None] == taken[going, None, :]).any(axis=2)
        first = np.where(known, -np.inf, best.log_odds).argmax(axis=1)[:, None]
        sure = (np.take_along_axis(best.log_odds, first, axis=1)[:, 0] > _FLOOR) & ~known.all(axis=1)
        going = going[sure]
        taken = np.concatenate([taken, np.full((len(taken), 1), -1)], axis=1)
        taken[going, turn] = np.take_along_axis(best.tokens, first, axis=1)[sure, 0]
        rest[going] -= _heard(cleanup, taken[going, turn], filled[going])
    others = cleanup.rank(rest, filled, count + taken.shape[1])
    again = (others.tokens[:, :, None] == taken[:, None, :]).any(axis=2)
    others.log_odds[again] = -np.inf
    return _first(_side_by_side([*_alone(cleanup, rest, filled, taken=taken), others]), count)


def _alone(cleanup: Ranking, rest: np.ndarray, filled: np.ndarray, *, taken: np.ndarray) -> Iterator[Candidates]:
    """Each column of the tokens taken, scored on what is left and its own value; -1 has log-odds of -inf."""
    for column in taken.T:
        here, rows = np.maximum(column, 0), column >= 0
        reads = rest + _heard(cleanup, here, filled & rows[:, None])
        found = cleanup.score(reads, filled, here[:, None])
        found.log_odds[~rows] = -np.inf
        yield found


def _heard(cleanup: Ranking, tokens: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """(n, L, d) int32: what one token each adds to the reads of all filled layers."""
    codes = to_host(cleanup.codebook[to_device(tokens, namespace(cleanup.codebook))]).astype(np.int32)
    return np.asarray(cleanup.config.inner_dim * codes[:, None, :] * filled[:, :, None])


def _side_by_side(parts: list[Candidates]) -> Candidates:
    """Candidates of the same queries, side by side."""
    return Candidates(
        np.concatenate([part.tokens for part in parts], axis=1),
        np.concatenate([part.log_odds for part in parts], axis=1),
        np.concatenate([part.layer_scores for part in parts], axis=1),
    )


def _first(found: Candidates, count: int) -> Candidates:
    """The `count` of the highest log-odds; of equal ones the lower token is first."""
    order = np.lexsort((found.tokens, -found.log_odds), axis=1)[:, :count]
    return Candidates(
        np.take_along_axis(found.tokens, order, axis=1),
        np.take_along_axis(found.log_odds, order, axis=1),
        np.take_along_axis(found.layer_scores, order[:, :, None], axis=1),
    )


def plainly_pursued(cleanup: Ranking, read: np.ndarray, filled: np.ndarray, *, most: int = MOST) -> Candidates:
    """The plain form for one context, (L, d) and (L,): the whole vocabulary is scored at every turn, and ranked."""
    every = np.arange(cleanup.config.vocab_size + 1)[None, :]
    taken: list[int] = []
    rest = read.astype(np.int32)
    found = cleanup.score(rest[None], filled[None], every)
    while len(taken) < most and np.delete(found.log_odds[0], taken).max() > _FLOOR:
        found.log_odds[0, taken] = -np.inf
        taken.append(int(found.log_odds[0].argmax()))
        rest = rest - _heard(cleanup, every[0, taken[-1:]], filled[None])[0]
        found = cleanup.score(rest[None], filled[None], every)
    for token in taken:
        alone = rest + _heard(cleanup, every[0, [token]], filled[None])[0]
        own = cleanup.score(alone[None], filled[None], np.array([[token]]))
        found.log_odds[0, token], found.layer_scores[0, token] = own.log_odds[0, 0], own.layer_scores[0, 0]
    return _first(found, every.size)
