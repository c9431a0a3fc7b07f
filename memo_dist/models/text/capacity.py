"""The capacity law of the model text: a whole corpus's recall, and the number of banks that a recall needs.

Covers: predictions. Does not cover: one context (law.py), what a text is like (models/repetition.py).

Whether a context's next token comes first follows from its banks' load and from how many tokens follow its windows; a
text is a mixture of contexts. Near a document's beginning few windows are filled: with D documents and T tokens, a
share (h^(m+1) - h^m) D / T of the tokens has m layers (h D / T has none but the first), and the rest all L. Recall is
relative to the best that any context of that length allows.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MAX_BANKS
from memo_dist.models.repetition import TextSize, unrepeated
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.law import first_probability

_LEAST_LOAD = 8  # associations a bank of the largest memory that is tried


def text_recall(config: TextConfig, text: TextSize, associations: float, *, noise: float = 1.0) -> float:
    """The law for a whole corpus: recall relative to its ceiling.

    Args:
        associations: held; distinct ones.
        noise: what few bits a cell add, bit_planes.noise_factor.
    """
    repetition = text.repetition or unrepeated(config.num_layers)
    following, load = repetition.following(max(text.tokens, 1)), associations / config.num_banks
    total = 0.0
    for layers, share in _depths(config, text):
        first = _mixed(config, load, following[:, :layers], noise=noise)
        weights = repetition.chances * repetition.shares if layers == config.num_layers else repetition.shares
        total += share * float(first @ weights)
    return total


def with_banks_for(config: TextConfig, target_recall: float, text: TextSize, *, noise: float = 1.0) -> TextConfig:
    """The same config with the fewest banks at which the law promises `target_recall`, or, where whole contexts go on
    in several ways, that share of the recall that any number of banks gives.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    associations = (text.repetition or unrepeated(config.num_layers)).associations(text.tokens)
    target = target_recall * text_recall(config, text, 0.0)

    def missing(banks: int) -> float:
        return target - text_recall(replace(config, num_banks=banks), text, associations, noise=noise)

    few, enough = 0, max(1, min(MAX_BANKS, int(associations // _LEAST_LOAD)))
    step = max(1, enough // 64)  # most memories are far smaller than the largest
    while step < enough and missing(step) > 0:
        few, step = step, 2 * step
    enough = min(step, enough)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if missing(middle) <= 0 else (middle, enough)
    return replace(config, num_banks=enough)


def _depths(config: TextConfig, text: TextSize) -> Iterator[tuple[int, float]]:
    """(layers filled, share of the tokens)."""
    left = 1.0
    for layers, window in enumerate(config.windows[1:], start=1):
        share = min(left, window * text.documents / max(text.tokens, 1) - (1.0 - left))
        left -= share
        if share > 0:
            yield layers, share
    if left > 0:
        yield config.num_layers, left


def _mixed(config: TextConfig, load: float, following: np.ndarray, *, noise: float) -> np.ndarray:
    """(classes,) first_probability; once for equal rows."""
    rows, index = np.unique(following, axis=0, return_inverse=True)
    if load <= 0:
        return np.ones(len(following))
    dim, size = config.inner_dim, config.vocab_size
    each = np.array(
        [first_probability(load, tuple(row), inner_dim=dim, vocab_size=size, noise=noise) for row in rows.tolist()]
    )
    return np.asarray(np.array(each)[index.ravel()])
