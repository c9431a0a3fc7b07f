"""Scoring: how well a memory knows each token of a text that is given.

Covers: log-odds of every token after the tokens before it, and of its rivals. Does not cover: which passages are held
(trace.py), continuation (recall.py).
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.models.candidates import Alternative
from memo_dist.recalling.lookup import Lookup
from memo_dist.segments import NO_TOKENS, Segment

_ASK = 1024  # positions read at a time


@dataclass(frozen=True)
class ScoredToken:
    """A token's log-odds (text/cleanup.py), None while no window is full before it, and the best of its place."""

    token: int
    score: float | None
    alternatives: list[Alternative]


def score_tokens(lookup: Lookup, tokens: np.ndarray, top_k: int) -> list[ScoredToken]:
    """Score each of (n,) token ids, given those before it; the text may begin anywhere.

    Args:
        top_k: alternatives of each place.

    Raises:
        ConfigError: the memory is of the preset paper.
    """
    cleanup = lookup.telling
    shortest = lookup.config.windows[0]
    given = np.asarray(tokens, np.uint32)
    begun = lookup.reading.units_begun(given.astype(np.int64))
    unknown = int(np.searchsorted(np.cumsum(begun) - begun, shortest))  # padding would say that a document begins here
    scored = [ScoredToken(int(token), None, []) for token in given[:unknown]]
    place = 0
    for cues, targets in cleanup.encoder.targets([Segment(0, NO_TOKENS, given, False)]):
        first, place = max(unknown - place, 0), place + len(targets)
        for start in range(first, len(targets), _ASK):
            asked, following = cues[start : start + _ASK], targets[start : start + _ASK].astype(np.int64)
            reads = cleanup.encoder.retrieve(lookup.reader, asked)
            own = cleanup.score(reads, asked.filled, following[:, None]).log_odds[:, 0]
            best = cleanup.rank(reads, asked.filled, top_k) if top_k else None
            for row, (token, score) in enumerate(zip(following.tolist(), own.tolist(), strict=True)):
                scored.append(ScoredToken(token, score, best.alternatives(row, top_k) if best else []))
    return scored
