"""Capacity: the law that ties a memory's size to its recall, and the size that a recall needs.

Covers: predictions. Does not cover: bytes and processes (memory_plan.py).

Preset text: whether a context's next token comes first follows from its banks' load and from how many tokens follow
its windows (cleanup_law.py); a text is a mixture of such contexts (repetition.py). Near a document's beginning few
windows are filled: with D documents and T tokens, a share (h^(m+1) - h^m) D / T of the tokens has m layers (h D / T has
none but the first), and the rest all L. Recall is relative to the best that any context of that length allows.

In the paper's one matrix all L layers of all T tokens meet: L keys are read, each with noise L T c / P from P
parameters, so the signal is L / sqrt(L L T c / P) = sqrt(P / (T c)) whatever L is. c is a product of two: 1 + d_k / d,
because keys that project the same d-vectors to d_k numbers keep the vectors' own overlap (1 for keys drawn by
themselves), and 1 + d / V, because a token that was memorized T / V times meets its own value each time. Norms of
Gaussian keys and values vary, so the signal has a variance of its own, (2 / d + 2 (1 + d_k / d) / key_dim) times its
square. All this is for random tokens; text repeats itself.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from memo_dist.config import MAX_BANKS, MAX_DIM, MemoryConfig
from memo_dist.errors import ConfigError
from memo_dist.extras import extra
from memo_dist.files.bit_planes import noise_factor
from memo_dist.files.manifest import Manifest
from memo_dist.models.text.law import first_probability
from memo_dist.planning.repetition import Repetition, repetition_of, unrepeated

_DIM_STEP = 64
_LEAST_LOAD = 8  # associations a bank of the largest memory that is tried


def top_recall(signal: float, vocab_size: int, deviation: float = 1.0) -> float:
    """P(a score of N(signal, deviation^2) is above V scores of N(0, 1)) = E_z[ Phi(signal + deviation z)^V ]."""
    with extra():
        from scipy.special import log_ndtr  # loaded only to predict

    z = np.linspace(-8, 8, 3201)
    weights = np.exp(-z * z / 2)
    return float(np.sum(weights * np.exp(vocab_size * log_ndtr(signal + deviation * z))) / np.sum(weights))


def predicted_recall(
    config: MemoryConfig,
    associations: float,
    tokens: int,
    documents: int,
    repetition: Repetition | None = None,
    noise: float = 1.0,
) -> float:
    """The capacity law for a whole corpus: recall relative to its ceiling; for the paper's memory, of random tokens.

    Args:
        associations: held; distinct ones.
        repetition: of the text; None: it never repeats itself, as random tokens.
        noise: what few bits a cell add, planes.noise_factor.
    """
    if config.preset == "paper":
        return _paper_recall(config, max(tokens, 1))
    text = repetition or unrepeated(config.num_layers)
    following, load = text.following(max(tokens, 1)), associations / config.num_banks
    total = 0.0
    for layers, share in _depths(config, tokens, documents):
        first = _mixed(load, following[:, :layers], config, noise)
        total += share * float(first @ (text.chances * text.shares if layers == config.num_layers else text.shares))
    return total


def recall_of(manifest: Manifest) -> float:
    """The capacity law for a memory as it is; its text as its first build found it."""
    found = (repetition_of(entry) for entry in manifest.sources)
    return predicted_recall(
        manifest.config,
        manifest.associations,
        manifest.tokens,
        manifest.documents,
        next((text for text in found if text is not None), None),
        noise_factor(manifest.bits) if manifest.bits else 1.0,
    )


def _depths(config: MemoryConfig, tokens: int, documents: int) -> Iterator[tuple[int, float]]:
    """(layers filled, share of the tokens)."""
    left = 1.0
    for layers, window in enumerate(config.windows[1:], start=1):
        share = min(left, window * documents / max(tokens, 1) - (1.0 - left))
        left -= share
        if share > 0:
            yield layers, share
    if left > 0:
        yield config.num_layers, left


def _mixed(load: float, following: np.ndarray, config: MemoryConfig, noise: float) -> np.ndarray:
    """(classes,) first_probability; once for equal rows."""
    rows, index = np.unique(following, axis=0, return_inverse=True)
    if load <= 0:
        return np.ones(len(following))
    size = (config.inner_dim, config.vocab_size, noise)
    each = np.array([first_probability(load, tuple(row), *size) for row in rows.tolist()])
    return np.asarray(each[index.ravel()])


def _paper_recall(config: MemoryConfig, tokens: int) -> float:
    shared = 0.0 if config.composition == "direct" else config.bank_shape[0] / config.inner_dim
    repeated = config.inner_dim / config.vocab_size
    signal = math.sqrt(config.num_parameters / (tokens * (1 + shared) * (1 + repeated)))
    relative = 2 / config.inner_dim + 2 / config.num_parameters * config.inner_dim * (1 + shared)
    return top_recall(signal, config.vocab_size, math.sqrt(1 + relative * signal**2))


def with_banks_for(
    config: MemoryConfig,
    target_recall: float,
    tokens: int,
    documents: int,
    repetition: Repetition | None = None,
    noise: float = 1.0,
) -> MemoryConfig:
    """The same config with the fewest banks at which the capacity law promises `target_recall`, or, where whole
    contexts go on in several ways, that share of the recall that any number of banks gives.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    associations = (repetition or unrepeated(config.num_layers)).associations(tokens)
    target = target_recall * predicted_recall(config, 0.0, tokens, documents, repetition)

    def missing(banks: int) -> float:
        larger = replace(config, num_banks=banks)
        return target - predicted_recall(larger, associations, tokens, documents, repetition, noise)

    few, enough = 0, max(1, min(MAX_BANKS, int(associations // _LEAST_LOAD)))
    step = max(1, enough // 64)  # most memories are far smaller than the largest
    while step < enough and missing(step) > 0:
        few, step = step, 2 * step
    enough = min(step, enough)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if missing(middle) <= 0 else (middle, enough)
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
