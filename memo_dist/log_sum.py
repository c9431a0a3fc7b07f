"""Log-sum: log(sum(exp(x))) without overflow.

Covers: the last axis of float64 arrays. Equal to the bit to scipy.special.logsumexp, which recall would load SciPy for.
"""

import numpy as np


def log_sum_exp(values: np.ndarray, keepdims: bool = False) -> np.ndarray:
    """(..., k) float64 -> (...,) of log(sum_k exp(values)), or (..., 1); the largest of each row must be finite.

    With M the row's largest value, which m entries have: M + log m + log(1 + sum of exp(x - M) / m over the others).
    """
    largest = values.max(axis=-1, keepdims=True)
    is_largest = values == largest
    count = is_largest.sum(axis=-1, keepdims=True, dtype=np.float64)
    others = np.exp(np.where(is_largest, -np.inf, values) - largest).sum(axis=-1, keepdims=True)
    total = np.log1p(others / count) + np.log(count) + largest
    return np.asarray(total if keepdims else total[..., 0])
