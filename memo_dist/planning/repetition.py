"""Repetition: how a text repeats itself, measured on a sample.

Covers: how many distinct associations a text gives, how many tokens follow a context's windows, and how both grow. Does
not cover: the figures themselves (models/repetition.py), what they do to recall (models/text/capacity.py).

The exponents of growth are those between the sample and every fourth of its pieces. Far beyond the sample they are a
guess: exponents fall as text grows, so the predicted number of distinct associations is rather too high.
"""

from collections.abc import Iterator

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models.repetition import Repetition, unrepeated
from memo_dist.models.text.associations import associate
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.segments import NO_TOKENS, Segment

SAMPLE_TOKENS = 1_500_000  # that a build looks at: about a second and a half
_CONTEXTS = 3000  # positions whose windows are looked at
_NAMES = 200_000  # distinct associations a layer that are counted; of more, a part
_PART = 4
_STEP = 2.0  # contexts whose counts differ by less than this factor are one class


#: Linux's documentation, 3.0 million tokens of a BPE of 32,000, h = 4, L = 3: what `plan` takes for a text not shown.
TYPICAL = Repetition(
    tokens=2_991_797,
    distinct=(0.7929, 0.9437, 0.9597),
    growth=(0.9587, 0.9875, 1.0),
    spread=(0.0668, 0.0016, 0.0002),
    contexts=(
        (0.78751, 1.0, 1.0, 1.0, 1.0),
        (0.08865, 1.0, 2.0, 1.0, 1.0),
        (0.05485, 1.0, 3.6, 1.0, 1.0),
        (0.00551, 1.0, 3.6, 2.4, 1.0),
        (0.02587, 1.0, 7.7, 1.0, 1.0),
        (0.00137, 1.0, 6.9, 3.8, 1.0),
        (0.01587, 1.0, 15.7, 1.0, 1.0),
        (0.00931, 1.0, 30.3, 1.0, 1.0),
        (0.00655, 1.0, 61.4, 1.0, 1.0),
        (0.00448, 1.0, 113.0, 1.2, 1.0),
        (0.00103, 1.0, 354.0, 1.0, 1.0),
    ),
)


def measure_repetition(pieces: list[np.ndarray], config: MemoryConfig, limit: int | None = None) -> Repetition:
    """Measure a sample of a text; takes about a second for every million tokens.

    Args:
        pieces: token ids of documents or long pieces of them, from all over the text.
        config: of the preset text; its windows.
        limit: about how many tokens to look at; None: all.
    """
    if limit is not None:
        pieces = pieces[:: 1 + sum(map(len, pieces)) // limit]
    segments = [Segment(0, NO_TOKENS, piece.astype(np.uint32), True) for piece in pieces if len(piece)]
    part = segments[::_PART]
    tokens, less = (sum(len(s.tokens) for s in some) for some in (segments, part))
    if not tokens:
        return unrepeated(config.num_layers)
    distinct = _distinct(segments, config, tokens) / tokens
    growth, spread = np.ones(config.num_layers), np.zeros(config.num_layers)
    if 2 * less < tokens:
        ratio = np.log(tokens / less)
        before = _distinct(part, config, less)
        growth = np.clip(np.log(distinct * tokens / np.maximum(before, 1)) / ratio, 0.0, 1.0)
        asked = _whole_contexts(part, config, less)
        few, _ = _follow(part, asked, config)
        many, _ = _follow(segments, asked, config)
        spread = np.log(many / few).mean(axis=0) / ratio if len(asked) else spread
    counts, chances = _follow(segments, _whole_contexts(segments, config, tokens), config)
    contexts = _classes(counts, chances) if len(counts) else unrepeated(config.num_layers).contexts
    return Repetition(
        tokens=tokens,
        distinct=_rounded(distinct),
        growth=_rounded(growth),
        spread=_rounded(spread),
        contexts=contexts,
    )


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _classes(counts: np.ndarray, chances: np.ndarray) -> tuple[tuple[float, ...], ...]:
    logs = np.log(counts)
    _, member = np.unique(np.round(logs / np.log(_STEP)), axis=0, return_inverse=True)
    rows = []
    for index in range(member.max() + 1):
        inside = member.ravel() == index
        row = [inside.mean(), chances[inside].mean(), *np.exp(logs[inside].mean(axis=0))]
        rows.append(tuple(round(float(value), 5) for value in row))
    return tuple(rows)


def _distinct(segments: list[Segment], config: MemoryConfig, tokens: int) -> np.ndarray:
    """(L,) distinct associations, counted among a part of all names that is chosen by their low bits."""
    step = max(1, tokens // _NAMES)
    found: list[list[np.ndarray]] = [[] for _ in config.windows]
    for values, filled, following in _targets(segments, config):
        for layer, names in enumerate(found):
            here = filled[:, layer]
            name = associate(values[here, layer], following[here].astype(np.uint32)).names
            names.append(name[name % np.uint64(step) == 0])
    return np.array([_count_distinct(np.concatenate(names)) * step for names in found], float)


def _count_distinct(names: np.ndarray) -> int:
    ordered = np.sort(names)  # np.unique looks each name up in a table, which takes longer
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + (len(names) > 0)


def _targets(segments: list[Segment], config: MemoryConfig) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for cues, following in HashedEncoder(config).targets(segments):
        yield cues.values, cues.filled, following


def _whole_contexts(segments: list[Segment], config: MemoryConfig, tokens: int) -> np.ndarray:
    """(n, L) window hashes of about _CONTEXTS places whose windows are all full, drawn evenly."""
    draws = np.random.default_rng(0)
    chosen = [np.empty((0, config.num_layers), np.uint64)]
    for values, filled, _ in _targets(segments, config):
        chosen.append(values[filled.all(axis=1) & (draws.random(len(values)) * tokens < _CONTEXTS)])
    return np.concatenate(chosen)


def _follow(segments: list[Segment], asked: np.ndarray, config: MemoryConfig) -> tuple[np.ndarray, np.ndarray]:
    """How many tokens follow each of (n, L) windows, (n, L), and the chances of Repetition.contexts, (n,)."""
    windows = np.unique(asked)
    maybe = np.zeros(1 << 20, bool)  # a first look that spares a search for most
    maybe[windows >> np.uint64(44)] = True
    places, tokens = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for values, filled, following in _targets(segments, config):
        for layer in range(config.num_layers):
            rows = np.flatnonzero(maybe[values[:, layer] >> np.uint64(44)] & filled[:, layer])
            place = np.minimum(np.searchsorted(windows, values[rows, layer]), len(windows) - 1)
            hit = windows[place] == values[rows, layer] if len(windows) else np.zeros(0, bool)
            places.append(place[hit])
            tokens.append(following[rows[hit]])
    pairs, seen = np.unique(np.concatenate(places) << 32 | np.concatenate(tokens), return_counts=True)
    owner = pairs >> 32
    count = np.bincount(owner, minlength=len(windows))
    best, total = np.zeros(len(windows)), np.bincount(owner, seen, len(windows))
    np.maximum.at(best, owner, seen)
    at = np.searchsorted(windows, asked)
    whole = at[:, -1]
    chances = total[whole] / np.maximum(best[whole], 1) / np.maximum(count[whole], 1)
    return np.maximum(count[at], 1).astype(float), np.minimum(chances, 1.0)
