"""Seeds: where some words of a text are held once one of them is read otherwise.

Covers: which words are read so, asking all readings of a few words in a row. Does not cover: how a word may be read
(misspelling.py), what follows them (snapping.py).

A solved memory tells one continuation of several, so what is held ends at a misspelled word if its words before are
common: that word is tried in each way in which it may be misspelled. A scanner takes one character in ten for another
of the same shape: then hardly any words in a row are right, as many as the shortest window has, and nothing is left
that a memory could be followed from; but of many one word alone is wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.misspelling import as_scanned, with_fewer, with_others
from memo_dist.recalling.support import Support
from memo_dist.tokenizer import Tokenizer

Held = Callable[[list[np.ndarray]], np.ndarray]
_AT_ONCE = 16  # units whose windows are asked together
_MOST = 96  # last units of a text that are
_LONGEST = 24  # characters of a word that is read otherwise
_WORDS = 4  # after what is held that are


@dataclass(frozen=True)
class Seed:
    """Some words of a text, one of them read otherwise.

    Attributes:
        begin, end: characters of the text that they stand for. text: as they are read.
    """

    begin: int
    end: int
    text: str


class Seeder:
    """Finds seeds in one memory.

    Args:
        held: of each of some contexts whether its end is held; it may seldom say so of one that is not.
        tokenizer: of the memory. shortest: window, in units.
    """

    def __init__(self, held: Held, tokenizer: Tokenizer, shortest: int) -> None:
        self._held, self._tokenizer, self._shortest = held, tokenizer, shortest

    def seeds(self, text: str, around: Support) -> Iterator[list[Seed]]:
        """The seeds of a text: a misspelled word after what is held, then misread ones, of its last words first.

        Args:
            around: of its places, whatever follows them there.
        """
        spans = unit_spans(text)
        yield self._of(self._after_held(text, spans, around))
        for stop in range(len(spans), max(0, len(spans) - _MOST), -_AT_ONCE):
            lasts = range(stop - 1, max(stop - _AT_ONCE, self._shortest - 1) - 1, -1)
            yield self._of([seed for last in lasts for seed in _scanned(text, self._window(spans, last))])

    def _window(self, spans: list[tuple[int, int]], last: int) -> list[tuple[int, int]]:
        return spans[last - self._shortest + 1 : last + 1]

    def _of(self, some: list[Seed]) -> list[Seed]:
        """Those that are held."""
        if not some:
            return []
        rows = self._tokenizer.encode([f" {seed.text}" for seed in some])
        good = self._held([row.astype(np.int64) for row in rows])
        return [some[index] for index in np.flatnonzero(good).tolist()]

    def _after_held(self, text: str, spans: list[tuple[int, int]], around: Support) -> list[Seed]:
        """Windows whose last word, the one after what is held, is spelled otherwise."""
        held = around.longest > 0
        ends = np.flatnonzero(held & ~np.append(held[1:], False))[-_WORDS:]
        found = []
        for last in around.units[ends].tolist():
            if self._shortest <= last + 1 <= len(spans):
                begin, (first, end) = spans[last - self._shortest + 1][0], spans[last]
                word = text[first:end]
                if 1 < len(word) <= _LONGEST:
                    found += [
                        Seed(begin, end, text[begin:first] + other)
                        for several in (with_fewer(word), with_others(word))
                        for other in several
                    ]
        return found


def _scanned(text: str, window: list[tuple[int, int]]) -> Iterator[Seed]:
    """A window with each of its words as a scanner may have misread it."""
    begin, end = window[0][0], window[-1][1]
    for first, last in window:
        if 1 < last - first <= _LONGEST:
            for word in as_scanned(text[first:last]):
                yield Seed(begin, end, text[begin:first] + word + text[last:end])
