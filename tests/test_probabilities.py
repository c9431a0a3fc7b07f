"""The calibrated softmax, against sums written out."""

import math

import numpy as np
import pytest

from memo_dist.decoding.probabilities import log_probabilities


def test_equals_bayes_written_out() -> None:
    odds = np.array([[2.0, 0.5, -3.0], [-1.0, -1.0, -9.0]])
    found = np.exp(log_probabilities(odds))
    for row, p in zip(odds, found, strict=True):
        total = 1 + sum(math.exp(x) for x in row)
        assert p.tolist() == pytest.approx([math.exp(x) / total for x in row])


def test_one_candidate_is_the_logistic_of_its_log_odds() -> None:
    assert np.exp(log_probabilities(np.array([0.7])))[0] == pytest.approx(1 / (1 + math.exp(-0.7)))


def test_extreme_log_odds_stay_finite() -> None:
    found = log_probabilities(np.array([900.0, 899.0, -900.0]))
    assert np.isfinite(found).all()
    assert np.exp(found[:2]).sum() == pytest.approx(1.0)
    assert found[2] < -1000


def test_a_higher_temperature_is_less_sure() -> None:
    odds = np.array([6.0, 1.0])
    assert log_probabilities(odds, 2.0)[0] < log_probabilities(odds)[0]
    assert np.allclose(log_probabilities(odds, 2.0), log_probabilities(odds / 2))
