"""Trace: which tokens of a text are in a memory, and in how long a passage.

Covers: the evidence of every position, made one by a hidden Markov model; its JSON. Does not cover: the page (page.py).

Token t follows c units that the memory holds in one passage with it, c up to the longest window. Where a window of w
units ends before t and c >= w, the memory holds (window, t). The ledger says whether it does; in matrices its score is
1 + noise, else noise alone. So the log-likelihood ratio of c is
    E_t(c) = sum over layers with window w_l <= c of e_l(t)
with e_l = +- SURE by the ledger, (z_l - 1/2) / s_l^2 by matrices (models/text/cleanup.py). c is hidden. From one token
to the next it grows by the units that begin with the token or, where the passage ends, falls to any c' <= c: a shorter
passage may go on from the same words. Forward and backward sums over the text give P(c_t >= w) for every token and
window; a spurious match of one window is outweighed by its neighbours, and so is a noisy read inside a passage.
"""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from memo_dist.errors import ConfigError, PromptError
from memo_dist.models.cues import Cues
from memo_dist.recalling.lookup import Lookup, SolvedLookup
from memo_dist.recalling.options import DEFAULTS
from memo_dist.recalling.passage import Passage
from memo_dist.recalling.placing import Place, stands_of
from memo_dist.recalling.walking import AGREES
from memo_dist.result import Result, table_of
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.solved.walk import State
from memo_dist.tokenizer import Tokenizer

if TYPE_CHECKING:
    from memo_dist.recalling.near import NearlyHeld

DEFAULT_LEAST = 16  # units
SURE = 20.0  # natural logarithm of how much likelier what the ledger says is than its contrary
_GOES_ON = 0.998  # a passage, at the next token
_GOES_ON_UNSEEN = 0.9999  # where longer windows are not looked at: two passages must meet in the same words
_ASK = 4096  # positions read at a time


@dataclass(frozen=True)
class Traced:
    """What a memory holds of n tokens.

    Attributes:
        windows: (n,) int64: the longest window, in units, that is surely held with the token after it; 0 for none.
        confidence: (n,) of that; for 0, that not even the shortest is held.
        held: (n,) bool: the token lies in a passage that is held, of at least `least` units.
        least: units.
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
class TracedText(Result):
    """A text and what a memory holds of it.

    Attributes:
        places: of each token, where its characters begin and end.
        stands: of each passage held, the documents that it stands in.
        memory_windows: the memory's windows, in units, rising.
        near: passages that are held nearly (near.py); None where they were not looked for.
    """

    text: str
    tokens: np.ndarray
    places: list[tuple[int, int]]
    found: Traced
    stands: list[Place]
    memory_windows: tuple[int, ...]
    near: "list[NearlyHeld] | None" = None

    @property
    def held(self) -> float:
        """The share of the tokens that is held."""
        return float(self.found.held.mean()) if len(self.tokens) else 0.0

    @property
    def passages(self) -> list[Passage]:
        """What is held, passage by passage."""
        spans = [self._span(start, stop) for start, stop in self.found.spans]
        return [
            Passage(one["text"], one["start"], one["stop"], documents=place.documents, num_documents=place.count)
            for one, place in zip(spans, self.stands, strict=True)
        ]

    def to_arrow(self) -> pa.Table:
        """A row for each passage."""
        return table_of(self.passages, Passage)

    def __repr__(self) -> str:
        passages = "1 passage" if len(self.found.spans) == 1 else f"{len(self.found.spans)} passages"
        return f"<traced text: {passages}, {self.held:.1%} of {len(self.tokens):,} tokens held>"

    def _repr_html_(self) -> str:
        from memo_dist.recalling.page import marked_html

        return f"<p>{html.escape(repr(self)[1:-1])}</p>{marked_html(self)}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: each token, the share of them that is held, and the passages; `near` where it was looked for."""
        found, rows = self.found, zip(self.tokens, self.places, strict=True)
        marks = [
            {"id": int(i), "start": a, "stop": b, "window": int(w), "confidence": round(float(c), 6), "held": bool(h)}
            for (i, (a, b)), w, c, h in zip(rows, found.windows, found.confidence, found.held, strict=True)
        ]
        spans = [
            {**self._span(start, stop), "documents": place.documents, "num_documents": place.count}
            for (start, stop), place in zip(found.spans, self.stands, strict=True)
        ]
        told = {"tokens": marks, "held": self.held, "least": found.least, "spans": spans}
        return told if self.near is None else {**told, "near": [one.to_dict() for one in self.near]}

    def _span(self, start: int, stop: int) -> dict[str, Any]:
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
    stands = stands_of(lookup, [tokens[start:stop].astype(np.int64) for start, stop in found.spans])
    return TracedText(
        text=text, tokens=tokens, places=places, found=found, stands=stands, memory_windows=lookup.config.windows
    )


def trace(
    lookup: Lookup,
    tokens: np.ndarray,
    *,
    least: int = DEFAULT_LEAST,
    min_confidence: float = DEFAULTS.min_confidence,
    exactly: bool | None = None,
) -> Traced:
    """Look token ids up, one by one.

    Args:
        tokens: (n,) ids; the text may begin anywhere.
        least: the shortest passage, in units, that counts as held.
        min_confidence: of every statement.
        exactly: by the ledger, or by the matrices; None: by the ledger where there is one.

    Raises:
        ConfigError: the memory is of the preset paper, or `least` is out of range.
        PromptError: an id is outside the vocabulary.
    """
    reading = lookup.reading
    config = lookup.config
    shortest, longest = config.windows[0] + 1, config.windows[-1] + 1
    if not shortest <= least <= longest:
        raise ConfigError(f"least is {least}; expected {shortest} to {longest} units, as this memory's windows reach")
    if len(tokens) and not 0 <= int(np.max(tokens)) < config.vocab_size:
        raise PromptError(f"the text has token id {int(np.max(tokens))}; the vocabulary has {config.vocab_size}")
    ids = np.asarray(tokens, np.uint32)
    begun = reading.units_begun(ids.astype(np.int64))
    evidence = _evidence(lookup, ids, begun, exactly=lookup.reader.has_ledger if exactly is None else exactly)
    goes_on = _GOES_ON_UNSEEN if lookup.reader.is_solved else _GOES_ON
    posterior = _posterior(evidence, np.array(config.windows), begun, goes_on=goes_on)  # (n, c)
    at_least = np.cumsum(posterior[:, ::-1], axis=1)[:, ::-1]
    windows, confidence = np.zeros(len(tokens), np.int64), 1 - at_least[:, config.windows[0]]
    for window in config.windows:
        sure = at_least[:, window] >= min_confidence
        windows[sure], confidence[sure] = window, at_least[sure, window]
    # least units: those before a token, and the one that begins with it
    ends = at_least[:, least - 1] >= min_confidence
    ends &= (begun > 0) | ((at_least[:, min(least, longest - 1)] >= min_confidence) & (least < longest))
    held = _covered(ends, least, np.cumsum(begun))
    return Traced(windows, confidence, held, least)


def _evidence(lookup: Lookup, tokens: np.ndarray, begun: np.ndarray, *, exactly: bool) -> np.ndarray:
    """(n, L) log-likelihood ratios; 0 for windows that reach before the text."""
    parts, at = [np.zeros((0, lookup.config.num_layers))], 0
    before = np.cumsum(begun) - begun
    for cues, targets in lookup.encoder.targets([Segment(0, NO_TOKENS, tokens, False)]):
        for first in range(0, len(targets), _ASK):
            asked, following = cues[first : first + _ASK], targets[first : first + _ASK].astype(np.int64)
            whole = asked.filled.copy()
            # padding would say that a document begins here
            whole[:, 0] &= before[at : at + len(asked)] >= lookup.config.windows[0]
            at += len(asked)
            if lookup.reader.is_solved:
                parts.append(_walked(lookup.solved, Cues(asked.values, whole), following))
            elif exactly:
                parts.append(_told(lookup, asked.values, whole, following=following))
            else:
                reads = lookup.encoder.retrieve(lookup.reader, asked)
                parts.append(lookup.telling.evidence(reads, whole, following[:, None])[:, 0])
    return np.concatenate(parts)


def _told(lookup: Lookup, hashes: np.ndarray, whole: np.ndarray, *, following: np.ndarray) -> np.ndarray:
    """(n, L) what the ledger says of each window with the token after it."""
    found = lookup.reader.followers(hashes[whole])
    window = np.repeat(np.arange(len(found)), np.diff(found.bounds))
    right = found.tokens == np.broadcast_to(following[:, None], whole.shape)[whole][window]
    held = np.bincount(window[right], minlength=len(found)) > 0
    evidence = np.zeros(whole.shape)
    evidence[whole] = np.where(held, SURE, -SURE)
    return evidence


def _walked(lookup: SolvedLookup, asked: Cues, following: np.ndarray) -> np.ndarray:
    """(n, L) what a solved memory says of each window with the token after it: for sure, that it is not held, or, up to
    the rung that says that token, that it is, but for the check bits; nothing of longer windows."""
    walked = lookup.walk([asked])
    rung, rungs = walked.rungs[:, None], np.arange(asked.filled.shape[1])
    right = (walked.tokens == following)[:, None]
    sure, left = ((walked.states == state)[:, None] for state in (State.SURE, State.LEFT))
    evidence = np.where(right & (rungs <= rung), np.log(2) * (lookup.check_bits + AGREES), 0.0)
    evidence[(sure & ~right & (rungs >= rung)) | (left & (rungs > rung)) | (rung < 0)] = -SURE
    return np.asarray(np.where(asked.filled, evidence, 0.0))


def _posterior(evidence: np.ndarray, windows: np.ndarray, begun: np.ndarray, *, goes_on: float) -> np.ndarray:
    """(n, c) P(token t follows c units of a passage that is held with it), by forward and backward sums."""
    count, states = len(evidence), int(windows[-1]) + 1
    covers = np.arange(states)[:, None] >= windows[None, :]  # (states, L)
    emission = evidence @ covers.T.astype(np.float64)
    emission -= emission.max(axis=1, keepdims=True, initial=0.0)
    likely = np.exp(np.maximum(emission, -300.0))
    sizes = np.arange(1, states + 1)
    forward, backward = np.empty((count, states)), np.empty((count, states))
    ahead = np.full(states, 1.0 / states)
    grows = np.minimum(begun, states - 1).tolist()
    for t in range(count):
        belief = ahead * likely[t]
        forward[t] = belief / belief.sum()
        ended = np.cumsum(((1 - goes_on) * forward[t] / sizes)[::-1])[::-1]  # falls to any c' <= c
        ahead, grow = ended, grows[t]
        ahead[grow:] += goes_on * forward[t][: states - grow]
        ahead[-1] += goes_on * forward[t][states - grow :].sum()
    behind = np.ones(states)
    for t in range(count - 1, -1, -1):
        # what comes after t is reached by what t's own units grow to
        backward[t] = behind
        if t:
            seen, grow = behind * likely[t], grows[t - 1]
            ended = (1 - goes_on) * np.cumsum(seen) / sizes
            behind = ended + goes_on * np.concatenate([seen[grow:], np.repeat(seen[-1:], grow)])
            behind /= behind.max()
    joint = forward * backward
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _covered(ends: np.ndarray, least: int, units: np.ndarray) -> np.ndarray:
    """Tokens within `least` units before the end of a passage, that end included; `units`: how many each token's end
    has before it."""
    covered = np.zeros(len(ends) + 1, np.int64)
    stops = np.flatnonzero(ends)
    starts = np.searchsorted(units, units[stops] - least, side="right")
    np.add.at(covered, np.minimum(starts, stops), 1)
    np.add.at(covered, stops + 1, -1)
    return np.asarray(np.cumsum(covered)[:-1] > 0)
