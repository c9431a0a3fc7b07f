"""Repetition: how a text repeats itself, measured on a sample.

Covers: how many distinct associations a text gives, how many tokens follow a context's windows, how likely tokens are,
how often a window decides what comes next, and how all that grows. Does not cover: the figures themselves
(models/repetition.py), what they do to recall (models/text/capacity.py).

The exponents of growth are those between the sample and every fourth of its pieces. Far beyond the sample they are a
guess: exponents fall as text grows, so the predicted number of distinct associations is rather too high.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models.cues import Encoder
from memo_dist.models.repetition import Repetition, unrepeated
from memo_dist.models.text.associations import associate
from memo_dist.models.text.prior import Prior
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.threads import in_threads

SAMPLE_TOKENS = 3_000_000  # that a build looks at: about three seconds; of half as much, code seems too repetitive
_CONTEXTS = 3000  # positions whose windows are looked at
_NAMES = 1_500_000  # distinct associations a layer that are counted; of more, a part
_PART = 4
_AT_ONCE = 8  # pieces hashed by a thread
_STEP = 2.0  # contexts whose counts differ by less than this factor are one class
_RARE, _COMMON = 0.003, 0.02  # shares of the positions
_NONE = 1e-6  # share of positions that counts as none
_LIKELY = 4.0  # and so are tokens whose likelihoods differ by less than this

# (m, L) window hashes, which of them are filled, (m,) next tokens, of each chunk: 53 bytes a token of a sample
_Targets = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def measure_repetition(pieces: list[np.ndarray], encoder: Encoder, limit: int | None = None) -> Repetition:
    """Measure a sample of a text; takes about a second for every million tokens.

    Args:
        pieces: token ids of documents or long pieces of them, from all over the text.
        encoder: of the preset text.
        limit: about how many tokens to look at; None: all.
    """
    if limit is not None:
        pieces = pieces[:: 1 + sum(map(len, pieces)) // limit]
    segments = [Segment(0, NO_TOKENS, piece.astype(np.uint32), True) for piece in pieces if len(piece)]
    layers = encoder.config.num_layers
    tokens, less = (sum(len(s.tokens) for s in some) for some in (segments, segments[::_PART]))
    if not tokens:
        return unrepeated(layers)
    shares = [segments[first : first + _AT_ONCE] for first in range(0, len(segments), _AT_ONCE)]
    targets = [one for some in in_threads(partial(_targets, encoder=encoder), shares) for one in some]
    part_targets = _part(targets, segments)
    held = _distinct(targets, encoder.config, tokens)
    distinct, likely = held.sum(axis=1) / tokens, _likelihoods(held.sum(axis=0))
    growth, spread, missing = np.ones(layers), np.zeros(layers), np.zeros(layers)
    if 2 * less < tokens:
        ratio = np.log(tokens / less)
        before = _distinct(part_targets, encoder.config, less).sum(axis=1)
        with np.errstate(divide="ignore"):  # of a layer that no text is long enough for
            growth = np.clip(np.log(distinct * tokens / np.maximum(before, 1)) / ratio, 0.0, 1.0)
        asked = _whole_contexts(part_targets, encoder.config, less)
        few, many = (_follow(some, asked.values) for some in (part_targets, targets))
        if len(asked):
            spread = np.log(many.counts / few.counts).mean(axis=0) / ratio
            missing = np.clip(np.log(many.missed / few.missed) / ratio, 0.0, 1.0)
    asked = _whole_contexts(targets, encoder.config, tokens)
    found = _follow(targets, asked.values)
    nothing = unrepeated(layers)
    return Repetition(
        tokens=tokens,
        distinct=_rounded(distinct),
        growth=_rounded(growth),
        spread=_rounded(spread),
        missed=_rounded(found.missed) if len(asked) else nothing.missed,
        missing=_rounded(missing),
        vocabulary=_vocabulary(likely),
        contexts=_classes(found, likely[asked.following]) if len(asked) else nothing.contexts,
    )


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _likelihoods(counts: np.ndarray) -> np.ndarray:
    """(V + 1,) log(p (V + 1)) of associations counted, as cleanup takes them."""
    return np.asarray(Prior(counts, len(counts)).log_p + np.log(len(counts)))


def _vocabulary(likely: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Classes of tokens of like probability; each has their mean probability."""
    kind = np.round(likely / np.log(_LIKELY))
    return tuple(
        (float((kind == one).mean()), round(float(np.log(np.exp(likely[kind == one]).mean())), 4))
        for one in np.unique(kind)
    )


def _classes(found: "_Followed", likely: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Classes of contexts: by the numbers of tokens that follow, in which rare ones are put together by the first; and
    each by how likely the next token is, common ones more finely."""
    logs = np.log(found.counts)
    kinds = np.round(logs / np.log(_STEP))
    _, group, size = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    rare = (size < _RARE * len(logs))[group.ravel()]
    kinds[rare, 1:] = -1  # no count
    _, group, size = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    rows = []
    for index in range(len(size)):
        inside = group.ravel() == index
        following = np.exp(logs[inside].mean(axis=0))
        width = np.log(_LIKELY) * (1 if size[index] > _COMMON * len(logs) else 2)
        kind = np.round(likely / width)
        for one in np.unique(kind[inside]):
            here = inside & (kind == one)
            row = [here.mean(), found.chances[here].mean(), likely[here].mean(), *following]
            rows.append(tuple(round(float(value), 5) for value in row))
    return tuple(rows)


def _distinct(targets: _Targets, config: MemoryConfig, tokens: int) -> np.ndarray:
    """(L, V + 1) distinct associations of each next token, counted among a part of all that names' low bits choose."""
    step, size = max(1, tokens // _NAMES), config.vocab_size + 1
    low = np.uint64((1 << size.bit_length()) - 1)

    def counted(layer: int) -> np.ndarray:
        pairs = []
        for values, filled, following in targets:
            here = filled[:, layer]
            window, token = values[here, layer], following[here]
            if step > 1:
                name = associate(window, token.astype(np.uint32)).names
                window, token = window[name % np.uint64(step) == 0], token[name % np.uint64(step) == 0]
            pairs.append((window & ~low) | token.astype(np.uint64))  # what is cut off leaves enough to tell windows by
        return np.bincount((_distinct_of(np.concatenate(pairs)) & low).astype(np.int64), minlength=size)

    return np.array(in_threads(counted, range(config.num_layers))) * step


def _distinct_of(pairs: np.ndarray) -> np.ndarray:
    ordered = np.sort(pairs)  # np.unique looks each one up in a table, which takes longer
    return np.asarray(ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]])


def _targets(segments: list[Segment], encoder: Encoder) -> _Targets:
    return [(cues.values, cues.filled, following) for cues, following in encoder.targets(segments)]


def _part(targets: _Targets, segments: list[Segment]) -> _Targets:
    """The targets of every _PART-th segment; each has one for every token, and its end."""
    chosen = np.repeat(np.arange(len(segments)) % _PART == 0, [len(segment.tokens) + 1 for segment in segments])
    rows = np.split(chosen, np.cumsum([len(following) for *_, following in targets])[:-1])
    return [(a[row], b[row], c[row]) for (a, b, c), row in zip(targets, rows, strict=True)]


@dataclass(frozen=True)
class _Asked:
    """Places whose windows are all full: (n, L) window hashes, (n,) the tokens that come next."""

    values: np.ndarray
    following: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class _Followed:
    """What follows (n, L) windows.

    Attributes:
        counts: (n, L) different tokens. chances: (n,) as in Repetition.contexts.
        missed: (L,) the mean share of the places of a window at which another token than the commonest follows; a
            little more than none, so that it can be divided by.
    """

    counts: np.ndarray
    chances: np.ndarray
    missed: np.ndarray


def _whole_contexts(targets: _Targets, config: MemoryConfig, tokens: int) -> _Asked:
    """About _CONTEXTS places whose windows are all full, drawn evenly."""
    draws = np.random.default_rng(0)
    chosen, nexts = [np.empty((0, config.num_layers), np.uint64)], [np.zeros(0, np.int64)]
    for values, filled, following in targets:
        rows = filled.all(axis=1) & (draws.random(len(values)) * tokens < _CONTEXTS)
        chosen.append(values[rows])
        nexts.append(following[rows])
    return _Asked(np.concatenate(chosen), np.concatenate(nexts))


def _follow(targets: _Targets, asked: np.ndarray) -> _Followed:
    """Look up what follows windows (n, L)."""
    windows = np.unique(asked)
    maybe = np.zeros(1 << 20, bool)  # a first look that spares a search for most
    maybe[windows >> np.uint64(44)] = True
    places, tokens = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for values, filled, following in targets:
        for layer in range(asked.shape[1]):
            rows = np.flatnonzero(maybe[values[:, layer] >> np.uint64(44)] & filled[:, layer])
            place = np.minimum(np.searchsorted(windows, values[rows, layer]), len(windows) - 1)
            hit = windows[place] == values[rows, layer] if len(windows) else np.zeros(0, bool)
            places.append(place[hit])
            tokens.append(following[rows[hit]])
    pairs, seen = np.unique(np.concatenate(places) << 32 | np.concatenate(tokens), return_counts=True)
    owner = pairs >> 32
    count = np.maximum(np.bincount(owner, minlength=len(windows)), 1)
    best, total = np.ones(len(windows)), np.maximum(np.bincount(owner, seen, len(windows)), 1)
    np.maximum.at(best, owner, seen)
    at = np.searchsorted(windows, asked)
    missed = 1 - (best / total)[at].mean(axis=0) if len(asked) else np.zeros(asked.shape[1])
    chances = (total / best / count)[at[:, -1]]
    return _Followed(count[at].astype(float), np.minimum(chances, 1.0), np.maximum(missed, _NONE))
