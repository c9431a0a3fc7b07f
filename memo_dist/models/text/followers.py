"""Followers: the tokens that follow a window, with how often each did; what the ledger says without any noise.

Covers: finding them in sorted entries, putting answers of several places together. Does not cover: where entries are
(ledger.py, files/), what is made of followers (recalling/exact.py).

Names sort by the upper half of the window's hash, so all that follows a window stands together; the token, folded into
the lower half, tells which rows are the window's own.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.associations import TOKEN_SALT, Associations
from memo_dist.models.text.ledger import Entries


@dataclass(frozen=True)
class Followers:
    """What follows each of m windows, the commonest first, of equally common ones the lowest id.

    Attributes:
        bounds: (m + 1,) int64: window i has rows bounds[i] .. bounds[i + 1] - 1; none if it is not held.
        tokens: (n,) int64; V is "end of document". counts: (n,) int64.
    """

    bounds: np.ndarray
    tokens: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def of(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and counts of one window."""
        rows = slice(self.bounds[window], self.bounds[window + 1])
        return self.tokens[rows], self.counts[rows]

    @property
    def held(self) -> np.ndarray:
        """(m,) bool: something follows the window."""
        return np.asarray(np.diff(self.bounds) > 0)

    @classmethod
    def none(cls, windows: int) -> "Followers":
        """Of windows that are not held."""
        return cls(np.zeros(windows + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def find_followers(entries: Entries, hashes: np.ndarray, *, salt: int = TOKEN_SALT, plain: bool = False) -> Followers:
    """The followers of (m,) uint64 window hashes among sorted entries in NumPy arrays.

    Args:
        salt: of the kind of association; of anchors, the documents follow.
        plain: by array operations instead of what is compiled; the same.
    """
    owners, rows = (_plain_rows if plain else _compiled_rows)(entries, hashes, salt)
    counts, tokens = entries.counts[rows].astype(np.int64), entries.tokens[rows].astype(np.int64)
    order = np.lexsort((tokens, -counts, owners))
    bounds = np.searchsorted(owners, np.arange(len(hashes) + 1))
    return Followers(bounds.astype(np.int64), tokens[order], counts[order])


def _compiled_rows(entries: Entries, hashes: np.ndarray, salt: int) -> tuple[np.ndarray, np.ndarray]:
    from memo_dist.kernels.followers import count_rows, find_rows

    found = np.empty(len(hashes), np.int64)
    count_rows(entries.names, entries.tokens, hashes, np.uint64(salt), found)
    rows = np.empty(int(found.sum()), np.int64)
    find_rows(entries.names, entries.tokens, hashes, np.uint64(salt), rows)
    return np.repeat(np.arange(len(hashes)), found), rows


def _plain_rows(entries: Entries, hashes: np.ndarray, salt: int) -> tuple[np.ndarray, np.ndarray]:
    own = Associations(entries.names, entries.tokens).hashes_with(salt)
    owners, rows = np.nonzero(hashes[:, None] == own[None, :])
    return owners, rows


def gathered(parts: list[tuple[np.ndarray, Followers]], windows: int) -> Followers:
    """Answers of several places, each for the windows of its rows, put together."""
    sizes = np.zeros(windows, np.int64)
    for rows, found in parts:
        sizes[rows] = np.diff(found.bounds)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    tokens, counts = np.empty(bounds[-1], np.int64), np.empty(bounds[-1], np.int64)
    for rows, found in parts:
        own = np.diff(found.bounds)
        places = np.repeat(bounds[rows] - found.bounds[:-1], own) + np.arange(found.bounds[-1])
        tokens[places], counts[places] = found.tokens, found.counts
    return Followers(bounds, tokens, counts)
