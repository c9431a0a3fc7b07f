"""Cleanup for the preset paper: one vector a query -> token ids, scores, log-odds.

Covers: which token r supports, and how surely. Does not cover: reading, continuation (recall.py).

A context that fills m windows and was memorized scores z(v) = r E[v]^T = m + noise for its next token v, noise else.
Values are Gaussian, so the read tells its own noise: s^2 = |r|^2 / d. With a prior of 1/V,
    log_odds(v) = (m z(v) - m^2 / 2) / s^2 - log V.
Real text breaks the assumption that keys are nearly orthogonal; there the confidence is too high
(docs/explanation/paper.md).
"""

import numpy as np

from memo_dist.device.backend import to_device, to_host
from memo_dist.models.candidates import SCORES_AT_ONCE, Candidates, best_columns, joined
from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.paper.encoder import ProjectedEncoder

_SEARCHED = 1 << 12  # tokens scored at a time where only one answer is checked


class ProjectedCleanup:
    """The token vectors E as a codebook, searched where the encoder keeps them.

    Args:
        config: the memory's definition.
        encoder: whose vectors to use; made anew if None.
    """

    def __init__(self, config: PaperConfig, encoder: ProjectedEncoder | None = None) -> None:
        self.config = config
        self.encoder = ProjectedEncoder(config) if encoder is None else encoder
        self.xp, self._codebook = self.encoder.xp, self.encoder.vectors

    def rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int = 1) -> Candidates:
        """Rank tokens by score; see Cleanup. Which of equal scores comes first is not said."""
        rows = max(1, SCORES_AT_ONCE // len(self._codebook))
        parts = [self._rank(reads[i : i + rows, 0], filled[i : i + rows], top_k) for i in range(0, len(reads), rows)]
        return joined(parts, 1, top_k)

    def several(self, reads: np.ndarray, filled: np.ndarray, count: int) -> Candidates:
        """As ranked."""
        return self.rank(reads, filled, count)

    def with_prior(self, counts: np.ndarray | None) -> "ProjectedCleanup":
        """The same: with the paper all tokens are equally likely."""
        return self

    def is_best(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Whether `tokens` score highest; see Cleanup.

        The codebook is searched block by block, and a query that is beaten is asked no more: where recall is low, that
        takes a fraction of the arithmetic.
        """
        xp, size = self.xp, self.config.vocab_size + 1
        asked, true = to_device(reads[:, 0], xp), to_device(tokens, xp)
        alive = xp.arange(len(reads))
        own = (asked * self._codebook[true]).sum(axis=1)
        for first in range(0, size, _SEARCHED):
            scores = asked[alive] @ self._codebook[first : min(first + _SEARCHED, size)].T
            mine = true[alive]
            inside = xp.flatnonzero((mine >= first) & (mine < first + scores.shape[1]))
            scores[inside, mine[inside] - first] = -np.inf
            alive = alive[scores.max(axis=1) < own[alive]]
        best = np.zeros(len(reads), bool)
        best[to_host(alive)] = True
        return best

    def _rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int) -> Candidates:
        size = self.config.vocab_size + 1
        xp = self.xp
        scores = to_device(reads, xp) @ self._codebook.T
        listed = xp.sort(best_columns(scores, size, min(top_k, size)), axis=1)
        tokens, found = to_host(listed), to_host(xp.take_along_axis(scores, listed, axis=1)).astype(np.float64)
        order = np.argsort(-found, axis=1, kind="stable")
        tokens, found = np.take_along_axis(tokens, order, axis=1), np.take_along_axis(found, order, axis=1)
        layers = filled.sum(axis=1)[:, None].astype(np.float64)
        noise = np.einsum("nd,nd->n", reads, reads, dtype=np.float64)[:, None] / self.config.inner_dim
        log_odds = (layers * found - layers**2 / 2) / np.maximum(noise, 1e-12) - np.log(size)
        return Candidates(tokens, log_odds, found[:, :, None])
