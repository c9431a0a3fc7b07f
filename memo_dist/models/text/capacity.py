"""The capacity law of the model text: a whole corpus's recall, and the number of banks that a recall needs.

Covers: predictions. Does not cover: one context (law.py), what a text is like (models/repetition.py).

Whether a context's next token comes first follows from its banks' load, from how many tokens follow its windows and
from how likely tokens are; a text is a mixture of contexts. Recall is that of contexts that fill all windows, and
relative to the best that any context of that length allows: a prompt that fills only some is answered as
`text_lengths` says, which is why a memory with a ledger is read exactly unless asked otherwise.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MAX_BANKS
from memo_dist.models.repetition import Answered, TextSize, unrepeated
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.law import Likelihoods, first_probabilities
from memo_dist.threads import in_threads

_LEAST_LOAD = 8  # associations a bank of the largest memory that is tried
# Where the search for a number of banks begins: about so many associations a cell, a lack that falls by so much.
_USUAL_LOAD, _USUAL_SLOPE = 0.1, -5.0
_SECANTS, _FARTHEST = 16, 3.0  # steps; logarithm of the longest


def text_recall(config: TextConfig, text: TextSize, associations: float, *, noise: float = 1.0) -> float:
    """The law for contexts that fill all windows: recall relative to its ceiling.

    Args:
        associations: held; distinct ones.
        noise: what few bits a cell add, bit_planes.noise_factor.
    """
    repetition = text.repetition or unrepeated(config.num_layers)
    first = _first(config, text, associations, rungs=config.num_layers, noise=noise)
    return float(first @ (repetition.shares * repetition.chances))


def text_lengths(config: TextConfig, text: TextSize, associations: float, *, noise: float = 1.0) -> list[Answered]:
    """The law for prompts that fill one window, two and so on.

    The matrices hold each token that follows a window once, and cannot tell which is commoner: of several the right one
    is as good as drawn.
    """
    repetition = text.repetition or unrepeated(config.num_layers)
    tokens = max(text.tokens, 1)
    following, decided = repetition.following(tokens), repetition.decided(tokens)
    found = []
    for rung, window in enumerate(config.windows):
        first = _first(config, text, associations, rungs=rung + 1, noise=noise)
        drawn = float(first / following[:, rung] @ repetition.shares)
        found.append(Answered(window, float(decided[rung]), min(drawn, float(decided[rung]))))
    return found


def with_banks_for(
    config: TextConfig,
    target_recall: float,
    text: TextSize,
    *,
    associations: float | None = None,
    noise: float = 1.0,
) -> TextConfig:
    """The same config with the fewest banks at which the law promises `target_recall`, or, where whole contexts go on
    in several ways, that share of the recall that any number of banks gives.

    Args:
        associations: held; distinct ones. None: as many as the text's repetition says.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    repetition = text.repetition or unrepeated(config.num_layers)
    held = repetition.associations(text.tokens) if associations is None else associations
    ceiling = text_recall(config, text, 0.0)

    def lacking(banks: int) -> float:
        """Log of the share of the allowed lack that so many banks leave: nearly straight, 0 where they are enough."""
        lack = ceiling - text_recall(replace(config, num_banks=banks), text, held, noise=noise)
        return float(np.log(max(lack, 1e-12) / (ceiling * (1 - target_recall))))

    most = max(1, min(MAX_BANKS, int(held // _LEAST_LOAD)))
    guess = max(1, round(held / (_USUAL_LOAD * config.inner_dim**2)))
    return replace(config, num_banks=_least(lacking, guess, most))


def _least(lacking: Callable[[int], float], guess: int, most: int) -> int:
    """The least of the numbers 1 .. `most` at which `lacking`, which falls, is not above 0; `most` if there is none.

    Over the logarithm of the number it is nearly straight: a secant finds the place in a few steps, from wherever it
    begins; should it not, halves do.
    """
    low, high = 0, most  # not enough, and enough or the most there are
    slope, before, steps = _USUAL_SLOPE, None, 0
    while high - low > 1:
        at = min(max(guess, low + 1), high - 1)
        value, steps = lacking(at), steps + 1
        low, high = (at, high) if value > 0 else (low, at)
        if before is not None and (found := (value - before[1]) / math.log(at / before[0])) < 0:
            slope = found
        before = at, value
        guess = math.ceil(at * math.exp(min(-value / slope, _FARTHEST))) if steps < _SECANTS else (low + high) // 2
    return high


def _first(config: TextConfig, text: TextSize, associations: float, *, rungs: int, noise: float) -> np.ndarray:
    """(classes,) first_probabilities of contexts of which so many windows are read."""
    repetition, load = text.repetition or unrepeated(config.num_layers), associations / config.num_banks
    following = repetition.following(max(text.tokens, 1))[:, :rungs]
    size = config.vocab_size + 1
    shares, relative = np.array(repetition.vocabulary).T
    tokens = Likelihoods(tuple((shares * size).tolist()), tuple((relative - np.log(size)).tolist()))
    own, first = repetition.likely - np.log(size), np.ones(len(following))
    if load <= 0:
        return first
    rows, index = np.unique(following, axis=0, return_inverse=True)

    def answer(number: int) -> None:
        """The classes of one row of `following`."""
        here = np.flatnonzero(index.ravel() == number)
        values, place = np.unique(own[here], return_inverse=True)
        row, asked = tuple(rows[number].tolist()), tuple(values.tolist())
        each = first_probabilities(load, row, inner_dim=config.inner_dim, tokens=tokens, own=asked, noise=noise)
        first[here] = np.array(each)[place.ravel()]

    in_threads(answer, range(len(rows)))
    return first
