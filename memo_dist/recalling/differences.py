"""Differences: where a text and what a memory has in its place part, and where they are in step again.

Covers: a passage with its differences, units beside units. Does not cover: following a memory (near_walking.py),
characters beside characters (aligning.py).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np

from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.aligning import folded_text

SYNC = 3  # units that are the same on both sides after a difference
GAP = 6  # units that differ on either side at a time


@dataclass(frozen=True)
class Units:
    """A text in words and other characters.

    Attributes:
        spans, folded: of each unit where its characters are, and how it is compared.
    """

    text: str
    spans: list[tuple[int, int]]
    folded: list[str]

    @classmethod
    def of(cls, text: str) -> "Units":
        spans = unit_spans(text)
        return cls(text, spans, [folded_text(text[a:b]) for a, b in spans])

    def __len__(self) -> int:
        return len(self.spans)

    def beginning_at(self, character: int) -> int:
        """The first unit that begins there or later."""
        return bisect_left(self.spans, (character, -1))

    def around(self, character: int) -> int:
        """The unit that a character is in, or the next one."""
        at = bisect_right(self.spans, (character, len(self.text) + 1)) - 1
        return at if at >= 0 and self.spans[at][1] > character else at + 1


@dataclass(frozen=True)
class Difference:
    """Characters [start, stop) of a text, and what the memory has in their place; either may be empty. `units` counts
    the words and other characters of the longer side."""

    start: int
    stop: int
    held: str
    units: int


@dataclass(frozen=True, kw_only=True)
class NearPassage:
    """A stretch of a text that is held but for its differences.

    Attributes:
        start, stop: characters of the text. first_unit, stop_unit: the same in words and other characters.
        differences: in order; none where the stretch is held as it is, but for case and white space.
        lines: (n,) token ids each, pieces of the passage as the memory has it.
    """

    start: int
    stop: int
    first_unit: int
    stop_unit: int
    differences: tuple[Difference, ...]
    lines: tuple[np.ndarray, ...] = field(repr=False, compare=False)

    @property
    def units(self) -> int:
        """Words and other characters in it."""
        return self.stop_unit - self.first_unit

    @property
    def differing(self) -> int:
        """How many of them differ."""
        return sum(difference.units for difference in self.differences)

    def joined(self, other: "NearPassage") -> "NearPassage":
        """With a passage that begins within it, and goes on."""
        return NearPassage(
            start=self.start,
            stop=max(self.stop, other.stop),
            first_unit=self.first_unit,
            stop_unit=max(self.stop_unit, other.stop_unit),
            differences=(*self.differences, *(one for one in other.differences if one.start >= self.stop)),
            lines=(*self.lines, *other.lines),
        )


def in_step(theirs: list[str], ours: list[str]) -> tuple[int, int] | None:
    """How many units of each are skipped until both are the same for a while; the fewest, None where none will do."""
    for skipped in range(1, 2 * GAP + 1):
        for more in sorted(range(max(0, skipped - GAP), min(skipped, GAP) + 1), key=lambda a: abs(2 * a - skipped)):
            less = skipped - more
            same = theirs[more : more + SYNC]
            if len(same) == SYNC and same == ours[less : less + SYNC]:
                return more, less
    return None


def differences_of(ours: Units, theirs: Units, *, our: range, their: range) -> Iterator[Difference]:
    """What differs between some units of a text and some of a memory, `our` and `their` numbers in each."""
    one, other = ([side.folded[at] for at in which] for side, which in ((ours, our), (theirs, their)))
    for change, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if change != "equal":
            begin = ours.spans[our.start + a][0]
            stop = ours.spans[our.start + b - 1][1] if a < b else begin
            held = theirs.spans[their.start + c : their.start + d]
            yield Difference(begin, stop, theirs.text[held[0][0] : held[-1][1]] if held else "", max(b - a, d - c))
