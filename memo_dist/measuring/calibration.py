"""Calibration: stated probabilities against how often what they were stated of came true.

Covers: reliability in bins with error bars, scores of a set of statements, the best temperature. Does not cover: where
statements come from (benchmarks/recall/calibration.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from memo_dist.extras import extra

# about equal steps of log-odds, so that .9, .99 and .999 can be told apart
EDGES = (0.0, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0)
_ONE_SIGMA = 1.0
_SURE = 1e-12  # no statement is surer than that when it is scored


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Statements of about the same probability: how many, their mean, the share that came true, and the ends of its
    68% interval (Wilson's, which stays within [0, 1])."""

    low: float
    high: float
    count: int
    stated: float
    found: float
    found_low: float
    found_high: float


def reliability(stated: np.ndarray, truth: np.ndarray, edges: tuple[float, ...] = EDGES) -> list[Bin]:
    """Bins that are not empty, rising.

    Args:
        stated: (n,) probabilities. truth: (n,) 0 or 1, or between if only the odds of the truth are known.
        edges: of the bins; the last bin includes its upper edge.
    """
    place = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, len(edges) - 2)
    bins = []
    for index in np.unique(place).tolist():
        inside = place == index
        count, found = int(inside.sum()), float(truth[inside].mean())
        low, high = wilson(found, count)
        bins.append(
            Bin(
                low=edges[index],
                high=edges[index + 1],
                count=count,
                stated=float(stated[inside].mean()),
                found=found,
                found_low=low,
                found_high=high,
            )
        )
    return bins


def wilson(share: float, count: int, deviations: float = _ONE_SIGMA) -> tuple[float, float]:
    """The interval of Wilson (1927) for the probability behind a share of `count` trials."""
    square = deviations**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = deviations / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def expected_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean of |stated - found| over statements."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.stated - one.found) for one in bins) / total


def log_loss(stated: np.ndarray, truth: np.ndarray) -> float:
    """Mean of -truth log(stated) - (1 - truth) log(1 - stated), in nats."""
    sure = np.clip(stated, _SURE, 1 - _SURE)
    return float(-np.mean(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)))


def brier_score(stated: np.ndarray, truth: np.ndarray) -> float:
    """Mean of (stated - truth)^2."""
    return float(np.mean(np.square(stated - truth)))


def best_temperature(stated: Callable[[float], np.ndarray], truth: np.ndarray) -> float:
    """The temperature in [.2, 5] at which `stated(temperature)` has the least log loss."""
    with extra():
        from scipy.optimize import minimize_scalar  # loaded only to fit

    found = minimize_scalar(
        lambda log_t: log_loss(stated(float(np.exp(log_t))), truth), bounds=(np.log(0.2), np.log(5)), method="bounded"
    )
    return float(np.exp(found.x))
