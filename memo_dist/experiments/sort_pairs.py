"""Pairs of segments of a text, of which one came first: the generator of Book-SORT (arXiv 2410.08133).

Covers: excerpts, segments from beginnings of sentences, distances in four bins. Does not cover: memories (sort.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memo_dist.errors import InputError

_EDGES = (0.25, 1 / 3, 0.5, 0.8)  # of an excerpt: upper edges of the distances; the lowest is a segment
_TRIES = 1000  # of places for one pair


@dataclass(frozen=True)
class Pair:
    """Two segments as they are shown, and whether the first shown came first; `distance` in words of their starts."""

    shown: tuple[str, str]
    first: bool
    distance: int


class Words:
    """The words of a text, white space between them, and where sentences begin."""

    def __init__(self, paragraphs: Sequence[str]) -> None:
        self.text = "\n\n".join(paragraphs)
        self.spans = [found.span() for found in re.finditer(r"\S+", self.text)]
        self.folded = folded(self.text)
        begins = [0]
        for place in range(1, len(self.spans)):
            before, here = self.spans[place - 1][1], self.spans[place][0]
            if self.text[before - 1] in ".!?" or "\n\n" in self.text[before:here]:
                begins.append(place)
        self.begins = np.array(begins)

    def segment(self, start: int, count: int) -> str:
        """`count` words, as they are written."""
        return self.text[self.spans[start][0] : self.spans[start + count - 1][1]]


def folded(text: str) -> str:
    """With one space between words."""
    return " ".join(text.split())


def drawn_pairs(words: Words, excerpt: int, segment: int, *, count: int, draws: np.random.Generator) -> list[Pair]:
    """Pairs of segments from excerpts of so many words at random places, as many of each distance, half of them shown
    in order. Each segment stands in the text once.

    Raises:
        InputError: the text is too short, or has no such pairs.
    """
    if len(words.spans) <= excerpt or segment >= excerpt * _EDGES[0]:
        raise InputError(
            f"excerpts are of {excerpt:,} words and segments of {segment}; expected segments of less than a quarter "
            f"of an excerpt, and excerpts of less than the text's {len(words.spans):,}"
        )
    edges = np.round([segment, *(share * excerpt for share in _EDGES)]).astype(int)
    pairs = []
    for number in range(count):
        low, high = edges[number % 4], edges[number % 4 + 1]
        first, second = _places(words, excerpt, segment, between=(low, high), draws=draws)
        in_order = number // 4 % 2 == 0
        told = words.segment(first, segment), words.segment(second, segment)
        pairs.append(Pair(told if in_order else told[::-1], in_order, second - first))
    return pairs


def _places(
    words: Words, excerpt: int, segment: int, *, between: tuple[int, int], draws: np.random.Generator
) -> tuple[int, int]:
    for _ in range(_TRIES):
        start = int(draws.integers(len(words.spans) - excerpt))
        inside = words.begins[(words.begins >= start) & (words.begins + segment <= start + excerpt)]
        if not len(inside):
            continue
        first = int(draws.choice(inside))
        far = inside[(inside - first >= between[0]) & (inside - first < between[1])]
        if len(far):
            second = int(draws.choice(far))
            told = (folded(words.segment(place, segment)) for place in (first, second))
            if all(words.folded.count(one) == 1 for one in told):
                return first, second
    raise InputError(f"the text has no two sentences {between[0]} to {between[1]} words apart; give another --text")
