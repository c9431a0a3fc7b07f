"""Evenly spread points are SciPy's."""

import numpy as np
import pytest
from scipy.stats import qmc

from memo_dist.models.text.keys import MAX_RUNGS
from memo_dist.models.text.sobol import sobol_points


@pytest.mark.parametrize("dimensions", [1, 2, 10, 2 * MAX_RUNGS])
@pytest.mark.parametrize("count", [1, 2, 32, 1024])
def test_equals_scipy_to_the_bit(dimensions: int, count: int) -> None:
    expected = qmc.Sobol(dimensions, scramble=False).random(count)
    assert np.array_equal(sobol_points(dimensions, count), expected)


def test_too_many_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="32 at most"):
        sobol_points(33, 2)
