"""Probabilities of a step against sums over sets written out; calibration statistics against made-up statements."""

import math
from itertools import combinations

import numpy as np
import pytest

from memo_dist.measuring.calibration import best_temperature, brier_score, expected_error, log_loss, reliability, wilson
from memo_dist.recalling.probabilities import log_probabilities


def over_all_sets(odds: list[float], further: float) -> list[float]:
    """P(v) by listing every set of candidates that may be held."""
    weights = {(): 1.0}
    for size in range(1, len(odds) + 1):
        for held in combinations(range(len(odds)), size):
            weights[held] = further ** (size - 1) * math.exp(sum(odds[v] for v in held))
    total = sum(weights.values())
    return [sum(w / len(held) for held, w in weights.items() if v in held) / total for v in range(len(odds))]


@pytest.mark.parametrize("further", [0.0, 0.02, 0.5, 1.0])
def test_equals_the_sum_over_all_sets(further: float) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 6, 7):
        odds = rng.normal(0, 6, (4, size))
        found = np.exp(log_probabilities(odds, further=further))
        for row, p in zip(odds.tolist(), found.tolist(), strict=True):
            assert p == pytest.approx(over_all_sets(row, further))


def test_one_candidate_is_the_logistic_of_its_log_odds() -> None:
    assert np.exp(log_probabilities(np.array([0.7])))[0] == pytest.approx(1 / (1 + math.exp(-0.7)))


def test_two_tokens_that_are_surely_held_share_the_probability() -> None:
    found = np.exp(log_probabilities(np.array([30.0, 20.0, -5.0])))
    assert found[:2].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert np.exp(log_probabilities(np.array([30.0, 20.0]), further=0))[0] > 0.999


def test_extreme_log_odds_stay_finite() -> None:
    found = log_probabilities(np.array([900.0, 899.0, -900.0]))
    assert np.isfinite(found).all()
    assert np.exp(found).sum() == pytest.approx(1.0)
    assert found[2] < -800


def test_order_is_that_of_the_log_odds_and_the_sum_is_under_one() -> None:
    odds = -np.sort(-np.random.default_rng(1).normal(0, 8, (500, 16)), axis=1)
    found = log_probabilities(odds)
    assert (np.diff(found, axis=1) <= 1e-12).all()
    assert (np.exp(found).sum(axis=1) < 1 + 1e-12).all()


def test_a_higher_temperature_is_less_sure() -> None:
    odds = np.array([6.0, 1.0])
    assert log_probabilities(odds, 2.0)[0] < log_probabilities(odds)[0]
    assert np.allclose(log_probabilities(odds, 2.0), log_probabilities(odds / 2))


def test_statements_that_come_true_as_often_as_said_are_calibrated() -> None:
    rng = np.random.default_rng(2)
    stated = 1 / (1 + np.exp(-rng.normal(0, 4, 200_000)))
    truth = (rng.random(200_000) < stated).astype(float)
    bins = reliability(stated, truth)
    assert sum(one.count for one in bins) == 200_000
    for one in bins:
        assert one.low <= one.stated <= one.high
        assert one.found_low <= one.found <= one.found_high
        low, high = wilson(one.found, one.count, 4)
        assert low <= one.stated <= high
    assert expected_error(bins) < 0.004


def test_overconfidence_is_seen_and_its_temperature_found() -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 3, 100_000)
    truth = (rng.random(100_000) < 1 / (1 + np.exp(-odds / 2))).astype(float)

    def stated(temperature: float) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-odds / temperature)))

    assert best_temperature(stated, truth) == pytest.approx(2.0, rel=0.05)
    assert expected_error(reliability(stated(1.0), truth)) > 0.05
    assert log_loss(stated(2.0), truth) < log_loss(stated(1.0), truth)
    assert brier_score(stated(2.0), truth) < brier_score(stated(1.0), truth)


def test_scores_equal_their_formulas() -> None:
    stated, truth = np.array([0.9, 0.2]), np.array([1.0, 1.0])
    assert log_loss(stated, truth) == pytest.approx(-(math.log(0.9) + math.log(0.2)) / 2)
    assert brier_score(stated, truth) == pytest.approx((0.01 + 0.64) / 2)
    assert math.isfinite(log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])))


def test_a_share_of_none_still_has_an_interval() -> None:
    low, high = wilson(0.0, 20)
    assert low == 0.0
    assert 0.02 < high < 0.1
