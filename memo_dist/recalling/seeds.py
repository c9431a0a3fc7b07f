"""Seeds: where some words of a text are held once one of them is read as a scanner may have misread it.

Covers: which characters are taken for which, asking all such readings of a few words in a row. Does not cover: what
follows them (snapping.py).

A scanner takes one character in ten for another of the same shape. Then hardly any words in a row are right, as many as
the shortest window has, and nothing is left that a memory could be followed from; but of many one word alone is wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.units import unit_spans
from memo_dist.tokenizer import Tokenizer

Held = Callable[[list[np.ndarray]], np.ndarray]
_ALIKE = ("0o", "1l", "1i", "il", "5s", "8b", "2z", "6b", "9g", "ce", "bh", "nu", "ft", "ao", "gq", "vy", "nr", "np")
_TWO = {"rn": "m", "cl": "d", "vv": "w", "lc": "k", "ii": "u", "li": "h", "1i": "l"}
_AT_ONCE = 16  # units whose windows are asked together
_MOST = 96  # last units of a text that are
_LONGEST = 24  # characters of a word that is read otherwise


@dataclass(frozen=True)
class Seed:
    """Some words of a text, one of them read otherwise.

    Attributes:
        begin, end: characters of the text that they stand for. text: as they are read.
    """

    begin: int
    end: int
    text: str


def readings(word: str) -> Iterator[str]:
    """What may have stood where a scanner read a word, in lower case: one character, or two, taken for another."""
    word = word.lower()
    for place, one in enumerate(word):
        for pair in _ALIKE:
            if one in pair:
                yield word[:place] + pair[one == pair[0]] + word[place + 1 :]
        two = _TWO.get(word[place : place + 2])
        if two is not None:
            yield word[:place] + two + word[place + 2 :]
        if one == "m":
            yield word[:place] + "rn" + word[place + 1 :]


class Seeder:
    """Finds seeds in one memory.

    Args:
        held: of each of some contexts whether its end is held; it may seldom say so of one that is not.
        tokenizer: of the memory. shortest: window, in units.
    """

    def __init__(self, held: Held, tokenizer: Tokenizer, shortest: int) -> None:
        self._held, self._tokenizer, self._shortest = held, tokenizer, shortest

    def seeds(self, text: str) -> Iterator[list[Seed]]:
        """The seeds of a text, those of its last words first."""
        spans = unit_spans(text)
        for stop in range(len(spans), max(0, len(spans) - _MOST), -_AT_ONCE):
            some = [
                seed
                for last in range(stop - 1, max(stop - _AT_ONCE, self._shortest - 1) - 1, -1)
                for seed in _read(text, spans[last - self._shortest + 1 : last + 1])
            ]
            if not some:
                continue
            rows = self._tokenizer.encode([f" {seed.text}" for seed in some])
            good = self._held([row.astype(np.int64) for row in rows])
            yield [some[index] for index in np.flatnonzero(good).tolist()]


def _read(text: str, window: list[tuple[int, int]]) -> Iterator[Seed]:
    """A window with each of its words read otherwise."""
    begin, end = window[0][0], window[-1][1]
    for first, last in window:
        if 1 < last - first <= _LONGEST:
            for word in readings(text[first:last]):
                yield Seed(begin, end, text[begin:first] + word + text[last:end])
