"""Trace: which tokens of a text are in a memory, and in how long a passage.

Covers: the evidence of every position, made one by a hidden Markov model; its JSON. Does not cover: the page (page.py).

Token t follows c tokens that the memory holds in one passage with it, c up to the longest window. Where a window of w
tokens ends before t and c >= w, the memory holds (window, t) and its score is 1 + noise, else it is noise alone; so the
log-likelihood ratio of c is
    E_t(c) = sum over layers with window w_l <= c of e_l(t),   e_l = (z_l - 1/2) / s_l^2      (models/text/cleanup.py)
c is hidden. From one token to the next it grows to c + 1 or, where the passage ends, falls to any c' <= c: a shorter
passage may go on from the same words. Forward and backward sums over the text give P(c_t >= w) for every token and
window; a spurious match of one window is outweighed by its neighbours, and so is a noisy read inside a passage.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError, PromptError
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer

DEFAULT_LEAST = 16  # tokens
_GOES_ON = 0.998  # a passage, at the next token
_ASK = 4096  # positions read at a time


@dataclass(frozen=True)
class Traced:
    """What a memory holds of n tokens.

    Attributes:
        windows: (n,) int64: the longest window that, with the token after it, is surely held; 0 for none.
        confidence: (n,) of that; for 0, that not even the shortest is held.
        held: (n,) bool: the token lies in a passage that is held, of at least `least` tokens.
        least: tokens.
    """

    windows: np.ndarray
    confidence: np.ndarray
    held: np.ndarray
    least: int

    @property
    def spans(self) -> list[tuple[int, int]]:
        """[start, stop) of the passages held."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.held, [False]]).astype(np.int8)))
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@dataclass(frozen=True, kw_only=True)
class TracedText:
    """A text and what a memory holds of it.

    Attributes:
        places: of each token, where its characters begin and end.
        memory_windows: the memory's windows, in tokens, rising.
    """

    text: str
    tokens: np.ndarray
    places: list[tuple[int, int]]
    found: Traced
    memory_windows: tuple[int, ...]

    @property
    def held(self) -> float:
        """The share of the tokens that is held."""
        return float(self.found.held.mean()) if len(self.tokens) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON: each token, the share of them that is held, and the passages."""
        found, rows = self.found, zip(self.tokens, self.places, strict=True)
        marks = [
            {"id": int(i), "start": a, "stop": b, "window": int(w), "confidence": round(float(c), 6), "held": bool(h)}
            for (i, (a, b)), w, c, h in zip(rows, found.windows, found.confidence, found.held, strict=True)
        ]
        spans = [self._span(start, stop) for start, stop in found.spans]
        return {"tokens": marks, "held": self.held, "least": found.least, "spans": spans}

    def _span(self, start: int, stop: int) -> dict[str, object]:
        first, last = self.places[start][0], self.places[stop - 1][1]
        text = self.text[first:last]
        return {"first_token": start, "stop_token": stop, "start": first, "stop": last, "text": text}


def trace_text(
    lookup: Lookup,
    tokenizer: Tokenizer,
    text: str,
    *,
    least: int = DEFAULT_LEAST,
    min_confidence: float = DEFAULTS.min_confidence,
    most_tokens: int | None = None,
) -> TracedText:
    """Look a text up; see trace.

    Args:
        most_tokens: refuse a longer text; None for any length.

    Raises:
        PromptError: the text is longer.
    """
    tokens, places = tokenizer.encode_with_places(text)
    if most_tokens is not None and len(tokens) > most_tokens:
        raise PromptError(f"the text has {len(tokens):,} tokens; expected {most_tokens:,} at most: send it in parts")
    found = trace(lookup, tokens, least=least, min_confidence=min_confidence)
    return TracedText(text=text, tokens=tokens, places=places, found=found, memory_windows=lookup.config.windows)


def trace(
    lookup: Lookup,
    tokens: np.ndarray,
    *,
    least: int = DEFAULT_LEAST,
    min_confidence: float = DEFAULTS.min_confidence,
) -> Traced:
    """Look token ids up, one by one.

    Args:
        tokens: (n,) ids; the text may begin anywhere.
        least: the shortest passage, in tokens, that counts as held.
        min_confidence: of every statement.

    Raises:
        ConfigError: the memory is of the preset paper, or `least` is out of range.
        PromptError: an id is outside the vocabulary.
    """
    _ = lookup.telling
    config = lookup.config
    shortest, longest = config.windows[0] + 1, config.context_length + 1
    if not shortest <= least <= longest:
        raise ConfigError(f"least is {least}; expected {shortest} to {longest} tokens, as this memory's windows reach")
    if len(tokens) and not 0 <= int(np.max(tokens)) < config.vocab_size:
        raise PromptError(f"the text has token id {int(np.max(tokens))}; the vocabulary has {config.vocab_size}")
    evidence = _evidence(lookup, np.asarray(tokens, np.uint32))
    posterior = _posterior(evidence, np.array(config.windows))  # (n, h^L + 1)
    at_least = np.cumsum(posterior[:, ::-1], axis=1)[:, ::-1]
    windows, confidence = np.zeros(len(tokens), np.int64), 1 - at_least[:, config.windows[0]]
    for window in config.windows:
        sure = at_least[:, window] >= min_confidence
        windows[sure], confidence[sure] = window, at_least[sure, window]
    return Traced(windows, confidence, _covered(at_least[:, least - 1] >= min_confidence, least), least)


def _evidence(lookup: Lookup, tokens: np.ndarray) -> np.ndarray:
    """(n, L) log-likelihood ratios; 0 for windows that reach before the text."""
    cleanup = lookup.telling
    parts = [np.zeros((0, lookup.config.num_layers))]
    for cues, targets in cleanup.encoder.targets([Segment(0, NO_TOKENS, tokens, False)]):
        for first in range(0, len(targets), _ASK):
            asked, following = cues[first : first + _ASK], targets[first : first + _ASK]
            whole = asked.filled.copy()
            if not first and not sum(map(len, parts)):
                whole[: lookup.config.windows[0], 0] = False  # padding would say that a document begins here
            reads = cleanup.encoder.retrieve(lookup.reader, asked)
            parts.append(cleanup.evidence(reads, whole, following[:, None].astype(np.int64))[:, 0])
    return np.concatenate(parts)


def _posterior(evidence: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(n, c) P(token t follows c tokens of a passage that is held with it), by forward and backward sums."""
    count, states = len(evidence), int(windows[-1]) + 1
    covers = np.arange(states)[:, None] >= windows[None, :]  # (states, L)
    emission = evidence @ covers.T.astype(np.float64)
    emission -= emission.max(axis=1, keepdims=True, initial=0.0)
    likely = np.exp(np.maximum(emission, -300.0))
    sizes = np.arange(1, states + 1)
    forward, backward = np.empty((count, states)), np.empty((count, states))
    ahead = np.full(states, 1.0 / states)
    for t in range(count):
        belief = ahead * likely[t]
        forward[t] = belief / belief.sum()
        ended = np.cumsum(((1 - _GOES_ON) * forward[t] / sizes)[::-1])[::-1]  # falls to any c' <= c
        ahead = ended
        ahead[1:] += _GOES_ON * forward[t][:-1]
        ahead[-1] += _GOES_ON * forward[t][-1]
    behind = np.ones(states)
    for t in range(count - 1, -1, -1):
        backward[t] = behind
        seen = behind * likely[t]
        ended = (1 - _GOES_ON) * np.cumsum(seen) / sizes
        behind = ended + _GOES_ON * np.concatenate([seen[1:], seen[-1:]])
        behind /= behind.max()
    joint = forward * backward
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _covered(ends: np.ndarray, least: int) -> np.ndarray:
    """Tokens within `least` before the end of a passage, that end included."""
    covered = np.zeros(len(ends) + 1, np.int64)
    stops = np.flatnonzero(ends) + 1
    np.add.at(covered, np.maximum(stops - least, 0), 1)
    np.add.at(covered, stops, -1)
    return np.asarray(np.cumsum(covered)[:-1] > 0)
