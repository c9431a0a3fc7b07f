"""Probabilities: log-odds of a step's candidates -> a calibrated softmax.

Covers: one step. Does not cover: where log-odds come from (hashed.py), confidence along a chain (recall.py).

The candidates v of a step exclude each other, and "none of them is memorized here" is one more case, of log-odds 0:
    P(v) = exp(x_v / T) / (1 + sum_u exp(x_u / T)),   x_v = log_odds(v)
With T = 1 that is Bayes' rule under the model of decoding/hashed.py. `benchmarks/calibration.py` measures how well it
is calibrated on real text.
"""

import numpy as np
from scipy.special import logsumexp

TEMPERATURE = 1.0


def log_probabilities(log_odds: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """(..., k) log-odds of candidates -> (..., k) natural logarithms of their probabilities, which sum to under 1."""
    scaled = np.asarray(log_odds, np.float64) / temperature
    none = np.zeros((*scaled.shape[:-1], 1))
    return np.asarray(scaled - logsumexp(np.concatenate([scaled, none], axis=-1), axis=-1, keepdims=True))
