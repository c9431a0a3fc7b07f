"""Probabilities: log-odds of a step's candidates -> how likely each is the next token.

Covers: one step. Does not cover: where log-odds come from (models/text/cleanup.py),
confidence along a chain (recall.py).

A memory holds a set of tokens after a context, mostly one, and each once: it cannot tell which of several is commoner.
With y_v = exp(x_v / T), x_v = log_odds(v) of "v is held after this whole context" against noise, the empty set weighs
1, and a set S weighs rho^(|S| - 1) times the product of its y. The next token is any of the set, so
    P(v) = sum over S with v of weight(S) / |S| / Z = y_v integral_0^1 prod_(u != v) (1 + rho t y_u) dt / Z
and Z makes all P(v) and P(none) = 1 / Z sum to 1. With rho = 0 that is the softmax of the log-odds and of none's 0;
with rho > 0 tokens that are all surely held share the probability, where a softmax would give it to the one that noise
favours. docs/explanation/recall.md shows how well that is calibrated on real text.
"""

import numpy as np

from memo_dist.log_sum import log_sum_exp

TEMPERATURE = 1.0  # Bayes' rule; fitted values are .95 to 1.15 and no better on other text (docs: recall.md)
FURTHER = 0.02  # rho, odds of one more continuation: about the share of 16-token contexts in text that have several


def log_probabilities(log_odds: np.ndarray, temperature: float = TEMPERATURE, further: float = FURTHER) -> np.ndarray:
    """(..., k) log-odds of different candidates -> (..., k) natural logarithms of their probabilities.

    Args:
        log_odds: of a step's best candidates; the others count as impossible.
        temperature: T. further: rho; 0 for a plain softmax.
    """
    scaled = np.asarray(log_odds, np.float64) / temperature
    weights = scaled
    if further > 0:
        # the integrand is a polynomial of degree k - 1, for which Gauss and Legendre's rule is exact
        nodes, shares = np.polynomial.legendre.leggauss(max(1, (scaled.shape[-1] + 1) // 2))
        reach = np.logaddexp(0, scaled[..., None] + np.log(further * (nodes + 1) / 2))
        others = reach.sum(axis=-2, keepdims=True) - reach
        weights = scaled + log_sum_exp(others + np.log(shares / 2))
    none = np.zeros((*scaled.shape[:-1], 1))
    return np.asarray(weights - log_sum_exp(np.concatenate([weights, none], axis=-1), keepdims=True))
