"""The cleanup law: the probability that cleanup puts the token that was memorized first.

Covers: one context, given the load of its banks and how many tokens follow each of its windows. Does not cover: what a
corpus's contexts are like (repetition.py), a memory's recall and size (capacity.py).

A window that n_l tokens follow, in a bank of N associations and d x d cells, reads with noise from two sources: the
other N - n_l associations, whose keys are independent, and the n_l values that its own key returns all at once. What
follows a long window follows the short ones too, so the second kind is common to layers. On the scores z_l of a token
that follows none of the windows the covariance is, in units of the signal,
    K_ll = e_l = (f N - n_l) / d^2 + n_l / d,    K_lk = n_max(l,k) / d,
and K - 1 / d on those of a token that follows them all; f is 1, or what few bits a cell add (bit_planes.py,
noise_factor). The energy of a read, which cleanup takes for e_l, varies as a chi-square of d degrees of freedom over d.
Cleanup ranks by the log-odds of models/text/cleanup.py, with evidence E_k = sum_{l<k} (z_l - 1/2) / e_l:
    R = E_m - log(V + sum_{k<m} exp(E_k)).
The token is first if its R is above those of
- V tokens that follow no window: E_m is normal with mean -sum 1 / 2 e_l and variance sum K_lk / (e_l e_k), in which the
  token's own value counts as loudly as it was read, (sum z_l / e_l)^2 / d, and R is E_m - log V nearly, since what is
  far below in all layers is no partial match. Codes are signs, and sums of d of them have lighter tails than a
  normal's: beyond t deviations exp(-t^4 / 4d) times as much (their kurtosis is -6 / d);
- n_k - n_(k+1) tokens that follow the first k windows, but no longer one: what they share is matched, the rest noise.
n_m tokens follow the whole context and cannot be told apart; the law counts what is first as one of them.

SciPy, which an extra installs, is imported where a probability is computed: reading a memory does without it.

Left out: loads differ from bank to bank (by 3% on real text), and a window that thousands of tokens follow is heard in
all of its bank in step.
"""

from functools import lru_cache

import numpy as np

from memo_dist.extras import extra
from memo_dist.log_sum import log_sum_exp

_POINTS = 1 << 10  # of the truth's noise, evenly spread
_RIVALS = 1 << 5  # of what a rival shares


@lru_cache(maxsize=1 << 14)
def first_probability(
    load: float, following: tuple[float, ...], *, inner_dim: int, vocab_size: int, noise: float = 1.0
) -> float:
    """P(no token outside those that follow the whole context has higher log-odds than the one memorized).

    Args:
        load: N, associations a bank.
        following: (m,) n_l, how many tokens follow each window of the context, shortest first, not rising; 1 or more.
        inner_dim, vocab_size: d, V.
        noise: f.
    """
    with extra():
        from scipy.special import ndtr

    count, depth = np.asarray(following, float), len(following)
    points = _normals(2 * depth, _POINTS)
    spread = noise_covariance(load, count, inner_dim, noise=noise)
    others = spread - 1 / inner_dim  # without the token's own value
    energies = _energies(points[:, depth:], inner_dim)
    scores = 1 + _correlated(points[:, :depth], others) * np.sqrt(energies)
    measured = scores**2 / inner_dim + np.diag(others) * energies
    log_v = np.log(vocab_size + 1)
    odds = _log_odds(np.cumsum((scores - 0.5) / measured, axis=1), log_v)
    precision, alone = 1 / measured, np.diag(others) * energies
    common = others - np.diag(np.diag(others))

    def deviation(first: int) -> np.ndarray:
        """Of the evidence of a token that follows no window from layer `first` on, (points,)."""
        p = precision[:, first:]
        variance = np.sum(alone[:, first:] * p**2, axis=1) + np.einsum("nl,lk,nk->n", p, common[first:, first:], p)
        return np.asarray(np.sqrt(variance + np.sum(scores[:, first:] * p, axis=1) ** 2 / inner_dim))

    height = (odds + log_v + np.sum(0.5 * precision, axis=1)) / deviation(0)
    log_first = vocab_size * _log_below(height, inner_dim)
    for shared in range(1, depth):
        if count[shared - 1] > count[shared]:
            start = _partial_odds(spread[:shared, :shared], inner_dim, log_v)
            above = odds + 0.5 * np.sum(precision[:, shared:], axis=1)
            below = ndtr((above[:, None] - start) / deviation(shared)[:, None]).mean(axis=1)
            log_first += (count[shared - 1] - count[shared]) * np.log(np.maximum(below, 1e-300))
    return float(np.mean(np.exp(log_first)))


def noise_covariance(load: float, following: np.ndarray, inner_dim: int, *, noise: float = 1.0) -> np.ndarray:
    """K of the law, (m, m)."""
    alone = (noise * np.maximum(load, following) - following) / inner_dim**2
    return np.asarray(np.diag(alone) + np.minimum.outer(following, following) / inner_dim)


def _correlated(points: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard normals (n, m) -> normals of a covariance (m, m)."""
    return np.asarray(points @ np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance))).T)


def _log_odds(evidence: np.ndarray, log_v: float) -> np.ndarray:
    """R, (n,), of evidence E_1 .. E_m, (n, m)."""
    partial = np.concatenate([np.full((len(evidence), 1), log_v), evidence[:, :-1]], axis=1)
    return np.asarray(evidence[:, -1] - log_sum_exp(partial))


def _log_below(t: np.ndarray, dim: int) -> np.ndarray:
    """log P(a sum of d random signs, in deviations, is below t)."""
    with extra():
        from scipy.special import log_ndtr

    light = np.exp(log_ndtr(-t) - np.where(t > 0, t, 0.0) ** 4 / (4 * dim))
    return np.asarray(np.where(t > 1, np.log1p(-light), log_ndtr(t)))


def _partial_odds(spread: np.ndarray, dim: int, log_v: float) -> np.ndarray:
    """R, (_RIVALS,), of tokens that follow the windows of covariance `spread`, before what longer windows say."""
    noise = _correlated(_normals(len(spread), _RIVALS), spread - 1 / dim)
    evidence = np.cumsum((0.5 + noise) / np.diag(spread), axis=1)
    return _log_odds(np.concatenate([evidence, evidence[:, -1:]], axis=1), log_v)


def _energies(deviations: np.ndarray, dim: int) -> np.ndarray:
    """Chi-square variables of `dim` degrees of freedom over their mean, by Wilson and Hilferty's cube root."""
    return np.asarray((1 - 2 / (9 * dim) + np.sqrt(2 / (9 * dim)) * deviations) ** 3)


@lru_cache(maxsize=16)
def _normals(dimensions: int, count: int) -> np.ndarray:
    """(count, dimensions) standard normal deviates, evenly spread and the same every time."""
    with extra():
        from scipy.special import ndtri
        from scipy.stats import qmc

    points = qmc.Sobol(dimensions, scramble=False).random(count)
    return np.asarray(ndtri((points + 0.5 / count) % 1.0))
