"""The project's log-sum against SciPy's, to the bit: recall's answers must not depend on what is installed."""

import numpy as np
import pytest
from scipy.special import logsumexp

from memo_dist.log_sum import log_sum_exp

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("shape", [(1,), (7,), (300, 4), (50, 8, 3), (20, 5, 17)])
def test_equals_scipy_to_the_bit(shape: tuple[int, ...], scale: float) -> None:
    values = RNG.normal(0, scale, shape)
    values[..., 1::3] = -np.inf  # windows that do not count
    values[..., 2::4] = values[..., :1]  # several are the largest
    assert np.array_equal(log_sum_exp(values), logsumexp(values, axis=-1))
    assert np.array_equal(log_sum_exp(values, keepdims=True), logsumexp(values, axis=-1, keepdims=True))


def test_equals_scipy_where_rows_are_not_contiguous() -> None:
    values = np.moveaxis(RNG.normal(0, 5, (40, 3, 9)), 0, 2)
    assert np.array_equal(log_sum_exp(values), logsumexp(values, axis=-1))
