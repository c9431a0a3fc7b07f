"""Match: how much of a prompt's end a memory holds in one piece, so that memories of any form can be compared.

Covers: its length in characters, from what each form tells. Does not cover: which memory answers (several_session.py).

A ledger and a solved memory are asked at every place of the prompt (support.py, walking.py): the piece begins where the
window of the first place begins that is held, and after which all are. Matrices are traced. A slip that was set right
makes the piece two characters shorter, so that who holds the prompt as it was typed holds more.
"""

import numpy as np

from memo_dist.models import model_of
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.questions import ids_of
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.solved_session import says_alike
from memo_dist.recalling.support import Support, supports
from memo_dist.recalling.trace import trace
from memo_dist.recalling.walking import judged
from memo_dist.tokenizer import Tokenizer

_SLIP = 2  # characters
_LIKELY = 0.5  # of a token that matrices are said to hold


def match_length(lookup: Lookup, tokenizer: Tokenizer | None, *, found: Continuation, options: RecallOptions) -> int:
    """Characters of a prompt's end that are held in one piece; of bare token ids, how many of these.

    Args:
        tokenizer: of the memory. found: its answer to the prompt. options: with which it was asked.

    Returns:
        0 also for the preset paper, whose scores do not tell how long a match is.
    """
    if not model_of(lookup.config).tells_length:
        return 0
    ids, starts, length = _read(tokenizer, found)
    ids = ids[: len(ids) - found.healed]  # what was recalled again is held if what is before it is
    if not len(ids):
        return 0
    first = _first_held(lookup, tokenizer, ids, found=found, options=options)
    held = 0 if first >= len(ids) else length - int(starts[first])
    return max(0, held - _SLIP * (found.corrected is not None))


def _read(tokenizer: Tokenizer | None, found: Continuation) -> tuple[np.ndarray, np.ndarray, int]:
    """The prompt as it was read: (n,) token ids, where each begins, and the length of the whole."""
    if tokenizer is None or not isinstance(found.prompt, str):
        ids = ids_of(found.prompt)
        return ids, np.arange(len(ids)), len(ids)
    text = found.corrected or found.prompt
    tokens, places = tokenizer.encode_with_places(text)
    return tokens.astype(np.int64), np.array([start for start, _ in places], np.int64), len(text)


def _first_held(
    lookup: Lookup, tokenizer: Tokenizer | None, ids: np.ndarray, *, found: Continuation, options: RecallOptions
) -> int:
    """The token that the piece begins with; n if nothing is held."""
    start = options.from_start
    if lookup.reader.is_solved:
        says = says_alike(lookup.solved, tokenizer)
        (told,) = judged(lookup.solved, [ids], says=says, at_start=start, everywhere=True)
        units = _units_held(told.support, lookup.config.windows)
    elif lookup.reader.has_ledger and options.read != "matrices":
        (support,) = supports(lookup.exact, [ids], at_start=start)
        units = _units_held(support, lookup.config.windows)
    else:
        return _first_traced(lookup, ids, found)
    begun = np.cumsum(lookup.reading.units_begun(ids))
    return int(np.searchsorted(begun, begun[-1] - units, side="right"))


def _units_held(support: Support, windows: tuple[int, ...]) -> int:
    """Units before the prompt's end that are held in one piece."""
    if not len(support.held):
        return 0
    if not support.held[-1]:
        return windows[support.asked] if support.asked >= 0 else 0
    missing = np.flatnonzero(~support.held)
    first = int(missing[-1]) + 1 if len(missing) else 0
    begins = support.units[first:] - support.longest[first:]
    return int(support.units[-1]) - max(int(begins.min()), 0)


def _first_traced(lookup: Lookup, ids: np.ndarray, found: Continuation) -> int:
    """By the matrices: of the passage in which the first token recalled is."""
    passage = np.concatenate([ids, np.array(found.tokens, np.int64)])
    least = lookup.config.windows[0] + 1
    traced = trace(lookup, passage, least=least, min_confidence=_LIKELY, exactly=False)
    return next((start for start, stop in traced.spans if start < len(ids) < stop), len(ids))
