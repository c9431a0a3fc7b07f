"""Corrections: prompts with one letter or one word set right, where the memory does not hold them as they were typed.

Covers: where a slip may be, texts that are one slip away. Does not cover: whether what is made of them is held
(support.py), prompts that differ in more (snapping.py), the ways in which a word is misspelled (misspelling.py).

A slip spoils every window over it, and no other. The places that are not held tell which word it may be in; each of
the words one slip away (Damerau's four: two letters exchanged, one left out, one too many, another one) is put in its
place, a word that stands twice is taken out, and each of the tokenizer's first words is put where one may be missing.
What is tried is asked up to the first place that was not held, and only what is held there is asked whole. There is no
dictionary: the memory is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import numpy as np

from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.misspelling import with_fewer, with_others
from memo_dist.recalling.support import Support
from memo_dist.tokenizer import Tokenizer

Ask = Callable[[list[np.ndarray]], Sequence[Support]]
Held = Callable[[list[np.ndarray]], np.ndarray]
_STRETCH = re.compile(r"\S+")
_WORD = re.compile(r"[^\W_]+")
_LONGEST = 40  # characters of a stretch that is corrected
_STRETCHES = 4  # into which letters are put: that makes many texts
_WORDS = 2000  # that are tried where one may be missing, the commonest
_CLEAR = 0.8  # of the places after a slip, whose short windows do not take it in
_MARGIN = 8  # units before the longest window
_AT_ONCE = 1024  # prompts looked up together
_ASKED = 128  # of these, that are asked whole: of more, what was looked up told nothing


@dataclass(frozen=True)
class Corrected:
    """A prompt with a slip set right: its text, and its (n,) tokens."""

    text: str
    tokens: np.ndarray


class Corrector:
    """Sets prompts right by one memory.

    Args:
        ask: what the memory holds of prompts.
        held: of each of some contexts whether its end is held; it may seldom say so of one that is not.
        tokenizer: of the memory.
        windows: of the memory, in units, rising.
    """

    def __init__(self, ask: Ask, held: Held, *, tokenizer: Tokenizer, windows: Sequence[int]) -> None:
        self._ask, self._held, self._tokenizer = ask, held, tokenizer
        self._shortest, self._longest = windows[0], windows[-1]

    def corrected(self, text: str, support: Support) -> Corrected | None:
        """The text with one slip set right, so that all of it is held; None if there is none.

        Args:
            support: of the text as it is.
        """
        if not self._one_slip(support):
            return None
        suspects = _suspects(text, support)
        # up to one unit further than the first place that is not held: it may be another token there that tells
        spans = unit_spans(text)[: int(support.units[~support.held][0]) + 1]
        begin, stop = spans[max(0, len(spans) - self._longest - _MARGIN)][0], spans[-1][1]
        begin -= begin > 0 and text[begin - 1].isspace()  # no window at the end reaches further back
        for tried in (_twice(text, suspects), _near(text, suspects), _far(text, suspects[:_STRETCHES])):
            while some := list(islice(tried, _AT_ONCE)):
                beginnings = [one[begin : stop + len(one) - len(text)] for one in some]
                good = self._held(self._encoded(beginnings))
                found = self._whole([some[one] for one in np.flatnonzero(good)[:_ASKED].tolist()])
                if found is not None:
                    return found
        return self._with_a_word(text, spans, begin)

    def _one_slip(self, support: Support) -> bool:
        """Whether one word may be what is wrong: most short windows that begin after it are held."""
        missing = np.flatnonzero(~support.held)
        if not len(missing):
            return False
        after = support.longest[support.units > support.units[missing[0]] + self._shortest]
        return not len(after) or float((after > 0).mean()) >= _CLEAR

    def _whole(self, texts: list[str]) -> Corrected | None:
        """The first of some texts that is held."""
        rows = self._encoded(texts)
        found = zip(texts, rows, self._ask(rows) if rows else [], strict=True)
        return next((Corrected(text, tokens) for text, tokens, support in found if support.whole), None)

    def _with_a_word(self, text: str, spans: list[tuple[int, int]], begin: int) -> Corrected | None:
        """The text with a word put where a window at the end of the last of the units may lack one, of which none
        reaches back beyond `begin`."""
        for at, _ in spans[: -self._shortest : -1]:
            if at == 0 or not text[at - 1].isspace():
                continue
            before, after = self._encoded([text[begin:at].rstrip(), text[at - 1 : spans[-1][1]]])
            good = np.flatnonzero(self._held([np.concatenate([before, word, after]) for word in self._words]))
            found = self._whole([text[:at] + self._word_texts[one].lstrip() + text[at - 1 :] for one in good[:_ASKED]])
            if found is not None:
                return found
        return None

    @cached_property
    def _words(self) -> list[np.ndarray]:
        return [row.astype(np.int64) for row in self._tokenizer.encode(self._word_texts)]

    @cached_property
    def _word_texts(self) -> list[str]:
        """The first words of the tokenizer, which are the commonest where it was trained on text."""
        few = range(min(self._tokenizer.vocab_size, 8 * _WORDS))
        texts = dict.fromkeys(text.strip() for text in self._tokenizer.decode_several([[one] for one in few]))
        return [f" {text}" for text in texts if _WORD.fullmatch(text)][:_WORDS]

    def _encoded(self, texts: list[str]) -> list[np.ndarray]:
        return [tokens.astype(np.int64) for tokens in self._tokenizer.encode(texts)]


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


def _twice(text: str, suspects: list[tuple[int, int]]) -> Iterator[str]:
    """Texts without a stretch that is the same as the one before it."""
    for (start, stop), (first, last) in pairwise(suspects):
        if text[start:stop].strip(",;:.").casefold() == text[first:last].strip(",;:.").casefold():
            yield text[:first] + text[start:]


def _near(text: str, suspects: list[tuple[int, int]]) -> Iterator[str]:
    """Texts in which two characters of a stretch are exchanged, or one is left out."""
    for start, stop in suspects:
        for word in with_fewer(text[start:stop]):
            yield text[:start] + word + text[stop:]


def _far(text: str, suspects: list[tuple[int, int]]) -> Iterator[str]:
    """Texts in which a letter of a stretch is another one, or one more is there."""
    for start, stop in suspects:
        for word in with_others(text[start:stop]):
            yield text[:start] + word + text[stop:]
