"""Scoring: how well a memory knows each token of a text that is given.

Covers: log-odds of every token after the tokens before it, and of its rivals; how likely a token is after too few.
Does not cover: which passages are held (trace.py), continuation (recall.py).
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.models.candidates import Alternative
from memo_dist.models.text.prior import Prior
from memo_dist.recalling.lookup import Lookup
from memo_dist.segments import NO_TOKENS, Segment

_ASK = 1024  # positions read at a time


@dataclass(frozen=True)
class ScoredToken:
    """What is known of one token.

    Attributes:
        token: its id.
        score: its log-odds (text/cleanup.py); None while no window is full before it.
        alternatives: the best of its place; while no window is full, the commonest tokens.
        prior: natural logarithm of the share of what the memory holds that ends in this token; None where it has a
            score.
    """

    token: int
    score: float | None
    alternatives: list[Alternative]
    prior: float | None = None


def score_tokens(lookup: Lookup, tokens: np.ndarray, top_k: int, *, at_start: bool = False) -> list[ScoredToken]:
    """Score each of (n,) token ids, given those before it.

    Args:
        top_k: alternatives of each place.
        at_start: a document begins with them; else the text may begin anywhere.

    Raises:
        ConfigError: the memory is of the preset paper.
    """
    cleanup = lookup.telling
    shortest = lookup.config.windows[0]
    given = np.asarray(tokens, np.uint32)
    begun = lookup.reading.units_begun(given.astype(np.int64))
    # padding would say that a document begins here
    unknown = 0 if at_start else int(np.searchsorted(np.cumsum(begun) - begun, shortest))
    scored = _by_prior(lookup, given[:unknown], top_k)
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


def _by_prior(lookup: Lookup, tokens: np.ndarray, top_k: int) -> list[ScoredToken]:
    """Tokens of which only is known how common they are."""
    if not len(tokens):
        return []
    log_p = Prior(lookup.reader.token_counts(), lookup.config.vocab_size + 1).log_p
    common = np.argsort(-log_p, kind="stable")[:top_k].tolist()
    best = [Alternative(token, float(log_p[token]), probability=float(np.exp(log_p[token]))) for token in common]
    return [ScoredToken(int(token), None, best, float(log_p[token])) for token in tokens]
