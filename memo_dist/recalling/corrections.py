"""Corrections: prompts with one letter set right, where the memory does not hold them as they were typed.

Covers: words in which a slip may be, words that are one slip away. Does not cover: whether what is made of them is held
(support.py), larger differences.

A slip of one letter spoils every window over its word, and no other. The places that are not held tell which word it
may be in; each of the words one slip away (Damerau's four: two letters exchanged, one left out, one too many, another
one) is put in its place and looked up. There is no dictionary: the memory is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.support import Support
from memo_dist.tokenizer import Tokenizer

Ask = Callable[[list[np.ndarray]], Sequence[Support]]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_STRETCH = re.compile(r"\S+")
_LONGEST = 40  # characters of a stretch that is corrected
_WORDS = 4  # stretches into which letters are put: that makes many texts
_CLEAR = 0.8  # of the places after a slip, whose short windows do not take it in
_AT_ONCE = 512  # prompts looked up together


def corrected(
    ask: Ask, tokenizer: Tokenizer, text: str, *, support: Support, shortest: int
) -> tuple[str, np.ndarray] | None:
    """The text with one slip set right, and its tokens, so that all of it is held; None if there is none.

    Args:
        ask: what the memory holds of prompts.
        support: of the text as it is. shortest: window, in units.
    """
    if not _one_slip(support, shortest):
        return None
    suspects = _suspects(text, support)
    for tried in (_near(text, suspects), _far(text, suspects[:_WORDS])):
        while some := list(islice(tried, _AT_ONCE)):
            rows = [tokens.astype(np.int64) for tokens in tokenizer.encode(some)]
            for spelled, tokens, found in zip(some, rows, ask(rows), strict=True):
                if found.whole:
                    return spelled, tokens
    return None


def _one_slip(support: Support, shortest: int) -> bool:
    """Whether one word may be what is wrong: most short windows that begin after it are held."""
    missing = np.flatnonzero(~support.held)
    if not len(missing):
        return False
    after = support.longest[support.units > support.units[missing[0]] + shortest]
    return not len(after) or float((after > 0).mean()) >= _CLEAR


def _suspects(text: str, support: Support) -> list[tuple[int, int]]:
    """Where the stretches between white space begin and end that may hold the slip, the likeliest first.

    A slip in unit k spoils the first place that is not held: k itself, or, by chance or before a window is full, one of
    those that the window there reaches; or the one before k, where a solved memory tells surely what else follows."""
    missing = np.flatnonzero(~support.held)
    if not len(missing):
        return []
    first = int(support.units[missing[0]])
    spans = unit_spans(text)[max(0, first - int(support.windows[missing[0]])) : first + 1]
    stretches = [match.span() for match in _STRETCH.finditer(text)]
    near = [(a, b) for a, b in stretches if b - a <= _LONGEST and any(i < b and a < j for i, j in spans)]
    return near[::-1]


def _near(text: str, suspects: list[tuple[int, int]]) -> Iterator[str]:
    """Texts in which two characters of a stretch are exchanged, or one is left out."""
    for start, stop in suspects:
        for i in range(start, stop):
            if i + 1 < stop and text[i] != text[i + 1]:
                yield text[:i] + text[i + 1] + text[i] + text[i + 2 :]
            if stop - start > 1:
                yield text[:i] + text[i + 1 :]


def _far(text: str, suspects: list[tuple[int, int]]) -> Iterator[str]:
    """Texts in which a letter of a stretch is another one, or one more is there."""
    for start, stop in suspects:
        if stop - start == 1:
            continue  # of a word of one letter nothing would be left that was typed
        for i in range(start, stop + 1):
            for letter in _LETTERS:
                yield text[:i] + letter + text[i:]
                if i < stop and text[i].isalpha() and text[i].lower() != letter:
                    yield text[:i] + letter + text[i + 1 :]
