"""Seams: where the tokens of neighbouring pieces of a long text are joined.

Covers: finding the boundary of tokens nearest to a cut that does not depend on where a tokenizer began. Does not cover:
the cuts (pieces.py), the tokens of pieces (joining.py).

A tokenizer that begins in the middle of a text soon falls into step with one that began before: from there on both
give the same tokens. So the text around a cut is tokenized from three beginnings, to different ends. A boundary of
tokens in all of them, with the same _ALIKE tokens on both sides, parts of the same words, is one of the whole text: the
piece before may end there and the piece behind begin. Where there is none the look-out grows; where the widest has
none, in a run of a hundred thousand spaces, say, or in one word as long, the text is cut at the cut itself.
In a text that repeats itself, tokenizers that began at different places may stay out of step for ever, or seem to be
in step: tokens of m periods of p characters, from beginnings that lie a multiple of m p characters apart. The first two
beginnings lie n characters apart, where n is prime and n - 1 has many divisors: for m > 1 that is never in step.
A seam follows from the text around its cut alone, so every split finds the same.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from memo_dist.segments import NO_TOKENS
from memo_dist.tokenizer import Tokenizer
from pipelines import pieces
from pipelines.long_text import LongText, bytes_of

# characters to each side of a cut: prime, one less has many divisors; half of the least is more than the characters
# from which WordPiece calls a word unknown (100 or 200), so that probes with other ends see the word otherwise
LOOKOUTS = (421, 2521, 15121, 55441)
_ALIKE = 16  # tokens
_LONGEST_CHARACTER = 4  # bytes


@dataclass(frozen=True)
class Seam:
    """Where one piece's tokens end and the next one's begin.

    Attributes:
        place: the byte of the text at the boundary: the tokens before it lie before, the others behind.
        begin: the byte from which the piece behind is tokenized, so that it is in step at `place`.
        stop: the byte up to which the piece before is tokenized.
        first: the tokens from `begin` on to a little behind `place`; `skipped` of them lie before it.
        last: the tokens from a little before `place` to `stop`; `left` of them lie behind it.
    """

    place: int
    begin: int
    stop: int
    first: np.ndarray = field(default_factory=lambda: NO_TOKENS)
    skipped: int = 0
    last: np.ndarray = field(default_factory=lambda: NO_TOKENS)
    left: int = 0


def cut_at(offset: int) -> Seam:
    """The seam that cuts a text at an offset, whatever its tokens."""
    return Seam(offset, offset, offset)


def find_seam(text: LongText, cut: int, tokenizer: Tokenizer) -> Seam:
    """The seam nearest to a cut, which may be the beginning of the text or its end."""
    if 0 < cut < text.size:
        for lookout in LOOKOUTS:
            found = _seam(text, cut, lookout, tokenizer=tokenizer)
            if found is not None:
                return found
    return cut_at(cut)


@dataclass(frozen=True)
class _Window:
    """The text around a cut, and whether it reaches to the whole text's beginning and end."""

    text: str
    at_start: bool
    at_end: bool


@dataclass(frozen=True)
class _Probe:
    """Some text of a window, tokenized.

    Attributes:
        start, stop: of the text in the window, in characters.
        ids: (n,) token ids.
        tokens: for each its id, where it begins and ends in the window, and whether it begins a word.
        boundaries: by place the index of the token behind.
    """

    start: int
    stop: int
    ids: np.ndarray
    tokens: list[tuple[int, int, int, bool]]
    boundaries: dict[int, int]

    def around(self, place: int, window: _Window) -> list[tuple[int, int, int, bool]] | None:
        """The tokens on both sides of a boundary; None if too few lie on a side that is not the text's end."""
        index = self.boundaries[place]
        enough_before = index >= _ALIKE or (window.at_start and self.start == 0)
        enough_behind = len(self.ids) - index >= _ALIKE or (window.at_end and self.stop == len(window.text))
        return self.tokens[max(0, index - _ALIKE) : index + _ALIKE] if enough_before and enough_behind else None


def _seam(text: LongText, cut: int, lookout: int, *, tokenizer: Tokenizer) -> Seam | None:
    reach = 2 * lookout * _LONGEST_CHARACTER
    low, high = text.boundary(cut - reach), text.boundary(cut + reach)
    window = _Window(text.text(low, high), at_start=not low, at_end=high == text.size)
    near = len(text.text(low, cut))
    sides = ((2 * lookout, lookout), (lookout, 2 * lookout), (3 * lookout // 2, 3 * lookout // 2))
    left, right, third = (_probe(window, near - before, near + behind, tokenizer=tokenizer) for before, behind in sides)
    shared = left.boundaries.keys() & right.boundaries.keys() & third.boundaries.keys()
    for place in sorted(shared, key=lambda one: (abs(one - near), one)):
        seen = left.around(place, window)
        if seen is None or seen != right.around(place, window) or seen != third.around(place, window):
            continue
        data = text.between(low, high)
        offset = low + bytes_of(data, place)
        if abs(offset - cut) > pieces.PIECE // 4:  # so that seams keep the order of their cuts
            return None
        i, j = left.boundaries[place], right.boundaries[place]
        return Seam(
            place=offset,
            begin=low + bytes_of(data, right.start),
            stop=low + bytes_of(data, left.stop),
            first=right.ids[: j + _ALIKE],
            skipped=j,
            last=left.ids[max(0, i - _ALIKE) :],
            left=len(left.ids) - i,
        )
    return None


def _probe(window: _Window, start: int, stop: int, *, tokenizer: Tokenizer) -> _Probe:
    start, stop = max(0, start), min(len(window.text), stop)
    ids, places, words = tokenizer.encode_with_words(window.text[start:stop])
    begins = [a != b for a, b in itertools.pairwise([None, *words])]
    tokens = [(id_, start + a, start + b, new) for id_, (a, b), new in zip(ids.tolist(), places, begins, strict=True)]
    boundaries: dict[int, int] = {}
    end = start
    for index, (_, a, b, _) in enumerate(tokens):
        if index and a >= end:
            boundaries[end] = index
        end = max(end, b)
    return _Probe(start=start, stop=stop, ids=ids, tokens=tokens, boundaries=boundaries)
