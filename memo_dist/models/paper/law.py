"""The capacity law of the model paper: recall of random tokens, and the matrix that a recall needs.

Covers: predictions. Does not cover: real text, which repeats itself and is recalled far worse
(docs/explanation/paper.md).

In the one matrix all L layers of all T tokens meet: L keys are read, each with noise L T c / P from P parameters, so
the signal is L / sqrt(L L T c / P) = sqrt(P / (T c)) whatever L is. c is a product of two: 1 + d_k / d, because keys
that project the same d-vectors to d_k numbers keep the vectors' own overlap (1 for keys drawn by themselves), and
1 + d / V, because a token that was memorized T / V times meets its own value each time. Norms of Gaussian keys and
values vary, so the signal has a variance of its own, (2 / d + 2 (1 + d_k / d) / key_dim) times its square.
"""

import math
from dataclasses import replace

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.extras import extra
from memo_dist.memory_config import MAX_DIM
from memo_dist.models.paper.config import PaperConfig

_DIM_STEP = 64


def paper_recall(config: PaperConfig, tokens: int) -> float:
    """The law for `tokens` random tokens, 1 or more."""
    shared = 0.0 if config.composition == "direct" else config.bank_shape[0] / config.inner_dim
    repeated = config.inner_dim / config.vocab_size
    signal = math.sqrt(config.num_parameters / (tokens * (1 + shared) * (1 + repeated)))
    relative = 2 / config.inner_dim + 2 / config.num_parameters * config.inner_dim * (1 + shared)
    return _top_recall(signal, config.vocab_size, math.sqrt(1 + relative * signal**2))


def with_dim_for(config: PaperConfig, target_recall: float, tokens: int) -> PaperConfig:
    """The same config, square, with the least inner_dim at which the law promises `target_recall` for random tokens.

    Raises:
        ConfigError: no matrix that can be built is large enough.
    """
    step = math.lcm(config.num_heads, _DIM_STEP)
    for dim in range(step, MAX_DIM + 1, step):
        larger = replace(config, inner_dim=dim, key_dim=dim)
        if paper_recall(larger, max(tokens, 1)) >= target_recall:
            return larger
    raise ConfigError(
        f"{tokens:,} tokens at a recall of {target_recall} need a matrix larger than {MAX_DIM} x {MAX_DIM}; the preset "
        "'paper' is for small corpora: use the preset 'text', or give --dim"
    )


def _top_recall(signal: float, vocab_size: int, deviation: float) -> float:
    """P(a score of N(signal, deviation^2) is above V scores of N(0, 1)) = E_z[ Phi(signal + deviation z)^V ]."""
    with extra():
        from scipy.special import log_ndtr  # loaded only to predict

    z = np.linspace(-8, 8, 3201)
    weights = np.exp(-z * z / 2)
    return float(np.sum(weights * np.exp(vocab_size * log_ndtr(signal + deviation * z))) / np.sum(weights))
