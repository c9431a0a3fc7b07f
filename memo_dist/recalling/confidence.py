"""Confidence: log-odds of a token -> the probability that it continues the whole context; a chain of such tokens.

Covers: Bayes' rule, its prior, the chance of staying inside a passage, confirmation by later tokens. Does not cover:
log-odds (models/), how probable each of several candidates is as the next token (probabilities.py).

A prompt and its continuation are a chain of two states: inside a memorized passage, or lost. With the prior pi that the
context is inside one, and x the natural log-odds of the evidence for a token,
    confidence = 1 / (1 + exp(-(x + log(pi / (1 - pi)))))
and the prior of the next step is the confidence of this one times the chance of staying inside. Only a path that was
inside a passage can be inside later, so a token is as sure as the surest token after it.
"""

import numpy as np

PRIOR = 0.5  # that a prompt is in the memory at all
STAYS = 0.999  # that a passage goes on at the next token
_MOST = 700.0  # log-odds beyond which exp would overflow


def confidence(log_odds: np.ndarray, prior: np.ndarray | float = PRIOR) -> np.ndarray:
    """(n, k) log-odds of tokens -> (n, k): the probability that each token continues its context.

    Args:
        log_odds: natural logarithms, as Candidates has them.
        prior: the probability that the context is in the memory at all; a scalar or (n,).
    """
    odds = np.log(prior) - np.log1p(-np.asarray(prior))
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds + np.reshape(odds, (-1, 1)), -_MOST, _MOST))))


def next_prior(inside: float) -> float:
    """The prior of the step after a token that continues the context with probability `inside`."""
    return inside * STAYS


def confirmed_by_later(confidences: list[float], end: float = 0.0) -> list[float]:
    """For each token the highest of its own confidence and those of the tokens after it.

    Args:
        confidences: of each token's own evidence, in order.
        end: confidence of the end of the document that follows the last token; 0 if none follows.
    """
    confirmed: list[float] = np.maximum.accumulate([end, *reversed(confidences)])[:0:-1].tolist()
    return confirmed
