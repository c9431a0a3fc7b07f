"""Aligning: how far what a memory says is what a prompt says, character by character as it comes.

Covers: edit distances of all beginnings, where in what is said the prompt ends. Does not cover: what is said, and from
where (snapping.py).

Let D(i, j) be the least differences between the first i characters said and the first j of the prompt:
    D(i, j) = min(D(i - 1, j) + 1, D(i, j - 1) + 1, D(i - 1, j - 1) + [they differ], D(i - 2, j - 2) + 1 if exchanged)
(optimal string alignment), and a whole word more on either side, but not the prompt's last, counts no more than two
differences. The prompt of n characters ends after the i for which D(i, n) is least, an end inside a word said counting
half a difference more, one that leaves the prompt's last character unsaid one and a half. The least
of min_j D(i, j) and of what leaving out the word under way would make of it never falls, and tells when longer is no
better. Letters are compared in any case, white
space in any form, quotation marks and dashes of any kind.
"""

import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

WORD = 2  # differences that a word more counts
_INSIDE = 0.5  # that the prompt ends inside a word said
_UNSAID = 1.5  # that the prompt's last character is not said
_NEVER = 1 << 20
_ALIKE = str.maketrans({**dict.fromkeys("’‘‛`´", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‐‑‒–—―−", "-")})


@dataclass(frozen=True)
class Typed:
    """Text that a prompt goes on with.

    Attributes:
        codes: (n,) int64, of its characters as they are compared.
        ends: (k,) int64, rising: 0, and after how many of them a word ends that is not the last.
    """

    codes: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, text: str) -> "Typed":
        """The text as it is compared."""
        folded = folded_text(text)
        words = np.array([*(one.isalnum() for one in folded), False], bool)
        ends = np.flatnonzero(words[:-1] & ~words[1:]) + 1
        return cls(np.array([ord(one) for one in folded], np.int64), np.concatenate([[0], ends[:-1]]))

    def __len__(self) -> int:
        return len(self.codes)

    def begun(self) -> np.ndarray:
        """(n + 1,) D(0, .)."""
        return self._without_words(np.arange(len(self) + 1))

    def row(self, row: np.ndarray, before: np.ndarray, *, last: str, said: str) -> np.ndarray:
        """(n + 1,) D(i, .) of D(i - 1, .) and D(i - 2, .), and the last two characters said."""
        older, newer = ord(last) if last else -1, ord(said)
        places, found = np.arange(len(row)), row + 1
        found[1:] = np.minimum(found[1:], row[:-1] + (self.codes != newer))
        exchanged = (self.codes[1:] == older) & (self.codes[:-1] == newer)
        found[2:] = np.where(exchanged, np.minimum(found[2:], before[:-2] + 1), found[2:])
        return self._without_words(np.minimum.accumulate(found - places) + places)

    def _without_words(self, row: np.ndarray) -> np.ndarray:
        for first, last in pairwise(self.ends.tolist()):
            least = row[first] + WORD
            if row[last] > least:
                row[last:] = np.minimum(row[last:], least + np.arange(len(row) - last))
        return row


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What was said so far beside what was typed.

    Attributes:
        row, before: (n + 1,) D(i, .), D(i - 1, .). begin, end: where the last word said began, and the last that ended.
        least: the least D(i, n), with what an end inside a word counts. at: the i of it.
        said: characters, as `at` counts them. ends_in: the last of them. last: as it is compared.
    """

    typed: Typed
    row: np.ndarray
    before: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    least: float
    at: int = 0
    said: int = 0
    ends_in: str = ""
    last: str = ""

    @classmethod
    def begun(cls, typed: Typed) -> "Alignment":
        """Before anything is said."""
        row = typed.begun()
        return cls(typed=typed, row=row, before=np.full(len(row), _NEVER), begin=row, end=row, least=len(row))

    @property
    def bound(self) -> int:
        """No end in what comes costs less."""
        return int(min(self.row.min(), self.begin.min() + WORD, self.end.min() + WORD))

    @property
    def may_improve(self) -> bool:
        """Whether the prompt may end better in what comes."""
        return self.bound < self.least

    def longer(self, text: str) -> "Alignment":
        """With more said."""
        row, before, begin, end, last = self.row, self.before, self.begin, self.end, self.last
        least, at, ends_in = self.least, self.at, self.ends_in
        for place, character in enumerate(text):
            here = _cost(row) + _INSIDE * (ends_in.isalnum() and character.isalnum())
            if here < least:
                least, at = here, self.said + place
            ends_in = character
            for one in _folded(character):
                if one == " " == last:
                    continue
                if last.isalnum() and not one.isalnum():
                    row = end = np.minimum(row, end + WORD)
                elif one.isalnum() and not last.isalnum():
                    row = begin = np.minimum(row, begin + WORD)
                row, before, last = self.typed.row(row, before, last=last, said=one), row, one
        return Alignment(
            typed=self.typed,
            row=row,
            before=before,
            begin=begin,
            end=end,
            least=least,
            at=at,
            said=self.said + len(text),
            ends_in=ends_in,
            last=last,
        )

    def ended(self) -> "Alignment":
        """With nothing more to come."""
        here = _cost(self.row)
        return replace(self, least=here, at=self.said) if here < self.least else self


def _cost(row: np.ndarray) -> float:
    """Of the end of a prompt here."""
    return float(row[-1]) + _UNSAID * bool(len(row) == 1 or row[-1] > row[-2])


def folded_text(text: str) -> str:
    """A text as it is compared."""
    found = ""
    for character in text:
        for one in _folded(character):
            if not (one == " " and found.endswith(" ")):
                found += one
    return found


def _folded(character: str) -> str:
    if character.isspace():
        return " "
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold()).translate(_ALIKE)
