"""Alternatives: what each step of an answer could have gone on with, as it is told.

Covers: their probabilities and texts. Does not cover: finding them (exact.py, paths.py).
"""

from dataclasses import replace

import numpy as np

from memo_dist.models.candidates import Alternative
from memo_dist.recalling.probabilities import log_probabilities
from memo_dist.recalling.recall import Continuation
from memo_dist.token_decoder import REACH
from memo_dist.tokenizer import Tokenizer


def with_told_alternatives(found: Continuation, ids: np.ndarray, tokenizer: Tokenizer | None) -> Continuation:
    """An answer with the probability and the text of each alternative.

    Args:
        ids: (n,) of its prompt.
    """
    if not any(found.alternatives):
        return found
    before: list[int] = ids[: len(ids) - found.healed][-REACH:].tolist()
    told = []
    for step, others in enumerate(found.alternatives):
        context = [*before, *found.tokens[:step]][-REACH:]
        told.append([replace(one, text=_text(tokenizer, context, one.token)) for one in _with_probabilities(others)])
    return replace(found, alternatives=told)


def _with_probabilities(others: list[Alternative]) -> list[Alternative]:
    """Of a ledger each one's share is known; of others, that among all which are told."""
    if not others or others[0].probability is not None:
        return others
    logs = log_probabilities(np.array([one.score for one in others]))
    return [replace(one, probability=float(np.exp(log))) for one, log in zip(others, logs, strict=True)]


def _text(tokenizer: Tokenizer | None, before: list[int], token: int) -> str | None:
    if tokenizer is None or token >= tokenizer.vocab_size:
        return None
    return tokenizer.continuation(before, [token])
