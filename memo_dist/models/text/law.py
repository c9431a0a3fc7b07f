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
Cleanup ranks by the log-odds of models/text/cleanup.py, with evidence E_k = sum_{l<k} (z_l - 1/2) / e_l and prior p:
    R(v) = E_m(v) + log p(v) - log(1 + sum_{k<m} p(v) exp(E_k(v))).
The token is first if its R is above those of
- the tokens that follow no window, by classes of like p: E_m is normal with mean -sum 1 / 2 e_l and variance
  sum K_lk / (e_l e_k), in which the token's own value counts as loudly as it was read, (sum z_l / e_l)^2 / d, and R is
  what follows from E_m if each layer gave its share of it. Codes are signs, and sums of d of them have lighter tails
  than a normal's: beyond t deviations exp(-t^4 / 4d) times as much (their kurtosis is -6 / d);
- n_k - n_(k+1) tokens that follow the first k windows, but no longer one: what they share is matched, the rest noise.
  They are taken to be drawn by p, and are not among the others: what is likely mostly follows where many follow.
n_m tokens follow the whole context and cannot be told apart; the law counts what is first as one of them.

SciPy, which an extra installs, is imported where a probability is computed: reading a memory does without it.

Left out: loads differ from bank to bank (by 3% on real text), and a window that thousands of tokens follow is heard in
all of its bank in step.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memo_dist.extras import extra
from memo_dist.log_sum import log_sum_exp
from memo_dist.models.text.sobol import sobol_points

_POINTS = 1 << 10  # of the truth's noise, evenly spread
_RIVALS = 1 << 5  # of what a rival shares
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly
_EVIDENCE = np.linspace(-400.0, 1200.0, 1601)  # of a rival, as a table


@dataclass(frozen=True)
class Likelihoods:
    """How likely the tokens of a vocabulary are to follow any window.

    Attributes:
        counts: tokens in each class. log_p: natural logarithm of the prior of each token in the class.
    """

    counts: tuple[float, ...]
    log_p: tuple[float, ...]

    @classmethod
    def equal(cls, vocab_size: int) -> "Likelihoods":
        """V + 1 tokens of one likelihood."""
        return cls((vocab_size + 1.0,), (-float(np.log(vocab_size + 1)),))


def first_probability(
    load: float,
    following: tuple[float, ...],
    *,
    inner_dim: int,
    vocab_size: int,
    noise: float = 1.0,
) -> float:
    """`first_probabilities` where all tokens are equally likely."""
    tokens = Likelihoods.equal(vocab_size)
    return first_probabilities(load, following, inner_dim=inner_dim, tokens=tokens, own=tokens.log_p, noise=noise)[0]


@lru_cache(maxsize=1 << 12)
def first_probabilities(
    load: float,
    following: tuple[float, ...],
    *,
    inner_dim: int,
    tokens: Likelihoods,
    own: tuple[float, ...],
    noise: float = 1.0,
) -> tuple[float, ...]:
    """P(no token outside those that follow the whole context has higher log-odds than the one memorized).

    Args:
        load: N, associations a bank.
        following: (m,) n_l, how many tokens follow each window of the context, shortest first, not rising; 1 or more.
        inner_dim: d.
        tokens: the vocabulary.
        own: log p of the token memorized, several values.
        noise: f.

    Returns:
        One probability for each of `own`.
    """
    count, depth = np.asarray(following, float), len(following)
    points = _normals(2 * depth, _POINTS)
    spread = noise_covariance(load, count, inner_dim, noise=noise)
    others = spread - 1 / inner_dim  # without the token's own value
    energies = _energies(points[:, depth:], inner_dim)
    scores = 1 + _correlated(points[:, :depth], others) * np.sqrt(energies)
    measured = scores**2 / inner_dim + np.diag(others) * energies
    evidence = np.cumsum((scores - 0.5) / measured, axis=1)
    precision, alone = 1 / measured, np.diag(others) * energies
    common = others - np.diag(np.diag(others))

    def deviation(first: int) -> np.ndarray:
        """Of the evidence of a token that follows no window from layer `first` on, (points,)."""
        p = precision[:, first:]
        variance = np.sum(alone[:, first:] * p**2, axis=1) + np.einsum("nl,lk,nk->n", p, common[first:, first:], p)
        return np.asarray(np.sqrt(variance + np.sum(scores[:, first:] * p, axis=1) ** 2 / inner_dim))

    behind = [0.5 * np.sum(precision[:, first:], axis=1) for first in range(depth)]
    deviations = [deviation(first) for first in range(depth)]
    before = np.cumsum(precision.mean(axis=0))[:-1] / precision.mean(axis=0).sum()
    company = _drawn(tokens, count[0])
    followers, strangers = _of_classes(tokens, company), np.array(tokens.counts) - company
    tables = [_odds_reached(log_q, before) for log_q in tokens.log_p]
    rivals = [
        (shared, count[shared - 1] - count[shared], _partial_odds(spread[:shared, :shared], inner_dim, followers))
        for shared in range(1, depth)
        if count[shared - 1] > count[shared]
    ]
    found = []
    for log_p in own:
        odds = _log_odds(evidence, log_p)
        wanted = np.stack([np.interp(odds, reached, _EVIDENCE) for reached in tables], axis=1)
        height = (wanted + behind[0][:, None]) / deviations[0][:, None]
        log_first = _log_below(height, inner_dim) @ strangers
        for shared, number, start in rivals:
            below = _share_below((odds + behind[shared]) / deviations[shared], start, deviations[shared])
            log_first += number * np.log(np.maximum(below, 1e-300))
        found.append(float(np.mean(np.exp(log_first))))
    return tuple(found)


def _odds_reached(log_p: float, before: np.ndarray) -> np.ndarray:
    """R of a token of prior p whose evidence E_m is _EVIDENCE, rising; a likely token has partial matches by chance.

    Args:
        before: (m - 1,) the share of E_m that is expected of the layers before each but the first.
    """
    partial = log_p + np.outer(_EVIDENCE, before)
    return np.asarray(log_p + _EVIDENCE - log_sum_exp(np.column_stack([np.zeros(len(_EVIDENCE)), partial])))


def _drawn(tokens: Likelihoods, count: float) -> np.ndarray:
    """How many of each class are among `count` different tokens that were drawn by p, (classes,)."""
    size, p = np.array(tokens.counts), np.exp(tokens.log_p)
    low, high = -40.0, 40.0  # logarithm of how many draws that takes, 1 - exp(-draws p) being a token's chance
    for _ in range(60):
        draws = (low + high) / 2
        met = size * -np.expm1(-np.exp(draws) * p)
        low, high = (draws, high) if met.sum() < count else (low, draws)
    return np.asarray(met)


def _of_classes(tokens: Likelihoods, weights: np.ndarray) -> np.ndarray:
    """(_RIVALS,) log p of tokens of classes with some weights, evenly spread, in no order."""
    share = np.cumsum(weights) / weights.sum()
    places = (np.arange(_RIVALS) * _GOLDEN + 0.5 / _RIVALS) % 1.0
    return np.asarray(np.array(tokens.log_p)[np.minimum(np.searchsorted(share, places), len(share) - 1)])


def _share_below(height: np.ndarray, start: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(points,) mean over rivals of P(rival's start plus noise of a deviation is below the height)."""
    with extra():
        from scipy.special import ndtr

    return np.asarray(ndtr(height - start[:, None] / deviation).mean(axis=0))


def noise_covariance(load: float, following: np.ndarray, inner_dim: int, *, noise: float = 1.0) -> np.ndarray:
    """K of the law, (m, m)."""
    alone = (noise * np.maximum(load, following) - following) / inner_dim**2
    return np.asarray(np.diag(alone) + np.minimum.outer(following, following) / inner_dim)


def _correlated(points: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard normals (n, m) -> normals of a covariance (m, m)."""
    return np.asarray(points @ np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance))).T)


def _log_odds(evidence: np.ndarray, log_p: np.ndarray | float) -> np.ndarray:
    """R, (n,), of evidence E_1 .. E_m, (n, m), of a token of prior p, or of (n,) tokens."""
    partial = np.concatenate([np.zeros((len(evidence), 1)), evidence[:, :-1] + np.reshape(log_p, (-1, 1))], axis=1)
    return np.asarray(evidence[:, -1] + log_p - log_sum_exp(partial))


def _log_below(t: np.ndarray, dim: int) -> np.ndarray:
    """log P(a sum of d random signs, in deviations, is below t)."""
    with extra():
        from scipy.special import log_ndtr, ndtr

    light = ndtr(-t) * np.exp(np.square(np.square(t)) / (-4 * dim))
    below = np.log1p(-np.minimum(light, 0.5))
    low = t <= 1
    below[low] = log_ndtr(t[low])  # takes three times as long, and few need it
    return np.asarray(below)


def _partial_odds(spread: np.ndarray, dim: int, log_p: np.ndarray) -> np.ndarray:
    """R, (_RIVALS,), of tokens that follow the windows of covariance `spread`, before what longer windows say."""
    noise = _correlated(_normals(len(spread), _RIVALS), spread - 1 / dim)
    evidence = np.cumsum((0.5 + noise) / np.diag(spread), axis=1)
    return _log_odds(np.concatenate([evidence, evidence[:, -1:]], axis=1), log_p)


def _energies(deviations: np.ndarray, dim: int) -> np.ndarray:
    """Chi-square variables of `dim` degrees of freedom over their mean, by Wilson and Hilferty's cube root."""
    return np.asarray((1 - 2 / (9 * dim) + np.sqrt(2 / (9 * dim)) * deviations) ** 3)


@lru_cache(maxsize=16)
def _normals(dimensions: int, count: int) -> np.ndarray:
    """(count, dimensions) standard normal deviates, evenly spread and the same every time."""
    with extra():
        from scipy.special import ndtri

    # turned, because the first point is a corner: all deviations at their worst, once in `count`
    turned = (sobol_points(dimensions, count) + np.arange(1, dimensions + 1) * _GOLDEN) % 1.0
    return np.asarray(ndtri(np.clip(turned, 0.5 / count, 1 - 0.5 / count)))
