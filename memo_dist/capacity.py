"""Capacity: the law that ties a memory's size to its recall, and the size that a recall needs.

Covers: predictions. Does not cover: bytes and processes (planning.py).

A bank with N associations answers with noise of variance s^2 = N / d^2 on each score. A context that was
memorized matches in all m layers that it fills, so its evidence is m + sqrt(m) s z against the best of V noise scores
of the same variance:
    recall_m(N) = E_z[ Phi( sqrt(m) / s + z )^V ],  z standard normal
relative to the best that any context of that length allows. Near a document's beginning few layers are filled: with
D documents and T tokens, a share (h^(m+1) - h^m) D / T of the tokens has m layers (h D / T has none but the first), and
the rest all L. The plan counts L associations a token, though text repeats itself (2.4 to 2.7 were measured).

In the paper's one matrix all L layers of all T tokens meet: L keys are read, each with noise L T c / P from P
parameters, so the signal is L / sqrt(L L T c / P) = sqrt(P / (T c)) whatever L is. c is a product of two: 1 + d_k / d,
because keys that project the same d-vectors to d_k numbers keep the vectors' own overlap (1 for keys drawn by
themselves), and 1 + d / V, because a token that was memorized T / V times meets its own value each time. Norms of
Gaussian keys and values vary, so the signal has a variance of its own, (2 / d + 2 (1 + d_k / d) / key_dim) times its
square. All this is for random tokens; text repeats itself.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.special import log_ndtr

from memo_dist.config import MAX_DIM, MemoryConfig
from memo_dist.errors import ConfigError

_DIM_STEP = 64


def top_recall(signal: float, vocab_size: int, deviation: float = 1.0) -> float:
    """P(a score of N(signal, deviation^2) is above V scores of N(0, 1)) = E_z[ Phi(signal + deviation z)^V ]."""
    z = np.linspace(-8, 8, 3201)
    weights = np.exp(-z * z / 2)
    return float(np.sum(weights * np.exp(vocab_size * log_ndtr(signal + deviation * z))) / np.sum(weights))


def layer_recall(load: float, layers: int, inner_dim: int, vocab_size: int) -> float:
    """recall_m(N) of the capacity law, for contexts that fill `layers` windows."""
    return top_recall(math.sqrt(layers / load) * inner_dim, vocab_size) if load > 0 else 1.0


def predicted_recall(config: MemoryConfig, associations: float, tokens: int, documents: int) -> float:
    """The capacity law for a whole corpus: recall relative to its ceiling; for the paper's memory, of random tokens."""
    if config.preset == "paper":
        return _paper_recall(config, max(tokens, 1))
    load = associations / config.num_banks
    total, left = 0.0, 1.0
    for layers, window in enumerate(config.windows[1:], start=1):
        share = min(left, window * documents / max(tokens, 1) - (1.0 - left))
        total += share * layer_recall(load, layers, config.inner_dim, config.vocab_size)
        left -= share
    return total + left * layer_recall(load, config.num_layers, config.inner_dim, config.vocab_size)


def _paper_recall(config: MemoryConfig, tokens: int) -> float:
    shared = 0.0 if config.composition == "direct" else config.bank_shape[0] / config.inner_dim
    repeated = config.inner_dim / config.vocab_size
    signal = math.sqrt(config.num_parameters / (tokens * (1 + shared) * (1 + repeated)))
    relative = 2 / config.inner_dim + 2 / config.num_parameters * config.inner_dim * (1 + shared)
    return top_recall(signal, config.vocab_size, math.sqrt(1 + relative * signal**2))


def with_banks_for(config: MemoryConfig, target_recall: float, tokens: int, documents: int) -> MemoryConfig:
    """The same config with the fewest banks at which the capacity law promises `target_recall`.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    associations = tokens * config.num_layers
    few, enough = 0, max(1, associations // 8)
    while enough - few > 1:
        middle = (few + enough) // 2
        good = predicted_recall(replace(config, num_banks=middle), associations, tokens, documents) >= target_recall
        few, enough = (few, middle) if good else (middle, enough)
    return replace(config, num_banks=enough)


def with_dim_for(config: MemoryConfig, target_recall: float, tokens: int) -> MemoryConfig:
    """The same paper config, square, with the least inner_dim at which the law promises `target_recall` for random
    tokens.

    Raises:
        ConfigError: no matrix that can be built is large enough.
    """
    step = math.lcm(config.num_heads, _DIM_STEP)
    for dim in range(step, MAX_DIM + 1, step):
        larger = replace(config, inner_dim=dim, key_dim=dim)
        if predicted_recall(larger, 0, tokens, 1) >= target_recall:
            return larger
    raise ConfigError(
        f"{tokens:,} tokens at a recall of {target_recall} need a matrix larger than {MAX_DIM} x {MAX_DIM}; the preset "
        "'paper' is for small corpora: use the preset 'text', or give --dim"
    )
