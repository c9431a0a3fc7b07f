"""Match: how much of a prompt's end a memory holds in one piece, so that memories of any form can be compared.

Covers: where the piece begins, from what each form tells; its tokens and its text. Does not cover: which memory answers
(several_session.py).

A ledger and a solved memory are asked at every place of the prompt (support.py, walking.py): the piece begins where the
window of the first place begins that is held, and after which all are. Matrices are traced. What is owed was said again
by the memory, and belongs to the piece.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memo_dist.models import model_of
from memo_dist.recalling.lookup import ExactLookup, Lookup, SolvedLookup
from memo_dist.recalling.questions import Question
from memo_dist.recalling.readings import Reading
from memo_dist.recalling.reasons import NOT_HELD, only_end
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.support import Support, supports
from memo_dist.recalling.trace import trace
from memo_dist.recalling.walking import Says, judged
from memo_dist.tokenizer import Tokenizer

MOST = 1024  # last tokens of a prompt that are asked
_MOST_TRACED = 512  # of matrices, which take longer
_LIKELY = 0.5  # of a token that matrices are said to hold


def held_exactly(lookup: ExactLookup, prompts: Sequence[np.ndarray], *, at_start: bool) -> list[int]:
    """How many last tokens of each prompt a ledger holds in one piece."""
    asked = [tokens[-MOST:] for tokens in prompts]
    told = supports(lookup, asked, at_start=at_start)
    return [_tokens_held(lookup, tokens, support) for tokens, support in zip(asked, told, strict=True)]


def held_solved(lookup: SolvedLookup, prompts: Sequence[np.ndarray], *, says: Says | None, at_start: bool) -> list[int]:
    """How many last tokens of each prompt a solved memory holds in one piece."""
    asked = [tokens[-MOST:] for tokens in prompts]
    told = judged(lookup, asked, says=says, at_start=at_start, everywhere=True)
    return [_tokens_held(lookup, tokens, one.support) for tokens, one in zip(asked, told, strict=True)]


def held_by_matrices(lookup: Lookup, tokens: np.ndarray, following: list[int]) -> int | None:
    """How many last tokens of a prompt matrices hold, in one passage with the first of those that follow it; None of
    the preset paper, whose scores do not tell how long a match is."""
    if not model_of(lookup.config).tells_length:
        return None
    if not following or not len(tokens):
        return 0
    asked, least = tokens[-_MOST_TRACED:], lookup.config.windows[0] + 1
    passage = np.concatenate([asked, np.array(following[:1], np.int64)])
    traced = trace(lookup, passage, least=least, min_confidence=_LIKELY, exactly=False)
    count = len(asked)
    return next((count - start for start, stop in traced.spans if start < count < stop), 0)


def with_match(
    found: Continuation, question: Question, reading: Reading, *, held: int | None, tokenizer: Tokenizer | None
) -> Continuation:
    """An answer that says what was matched.

    Args:
        reading: of the prompt that was asked. held: of its last tokens, how many are held in one piece.
    """
    unsaid = found.reason is not None and found.reason.code == NOT_HELD and bool(reading.owed) and not found.tokens
    if not held or unsaid:
        held = None if held is None else 0
        return replace(found, matched=held, matched_text=None if question.text is None else "")
    if question.text is None or tokenizer is None:
        return replace(found, matched=held + reading.cut)
    text = question.text if reading.spelled is None else reading.spelled
    begin = len(reading.tokens) - held
    said = tokenizer.continuation(reading.tokens[:begin].tolist(), reading.tokens[begin:].tolist())
    size = len(said) + len(reading.owed)
    part = text[max(0, len(text) - size) :]
    silent = found.reason is not None and found.reason.code == NOT_HELD and not found.tokens
    why = only_end(part) if silent and len(part) < len(text) else found.reason
    return replace(found, matched=held + reading.cut, matched_text=part, reason=why)


def _tokens_held(lookup: ExactLookup, tokens: np.ndarray, support: Support) -> int:
    units = _units_held(support, lookup.config.windows)
    if not units:
        return 0
    begun = np.cumsum(lookup.encoder.units_begun(tokens))
    return len(tokens) - int(np.searchsorted(begun, begun[-1] - units, side="right"))


def _units_held(support: Support, windows: tuple[int, ...]) -> int:
    """Units before the prompt's end that are held in one piece."""
    if not len(support.held):
        return 0
    if not support.held[-1] and support.asked < 0:
        return 0
    # where the longest window at the end is not held, what shorter ones hold one after the other
    missing = np.flatnonzero(~support.held if support.held[-1] else support.longest == 0)
    first = int(missing[-1]) + 1 if len(missing) else 0
    begins = support.units[first:] - support.longest[first:]
    return int(support.units[-1]) - max(int(begins.min(initial=support.units[-1] - windows[support.asked])), 0)
