"""Aligning: how far what a memory says is what a prompt says, character by character as it comes.

Covers: edit distances of all beginnings, where in what is said the prompt ends. Does not cover: what is said, and from
where (snapping.py).

Let D(i, j) be the least differences between the first i characters said and the first j of the prompt:
    D(i, j) = min(D(i - 1, j) + 1, D(i, j - 1) + 1, D(i - 1, j - 1) + [they differ], D(i - 2, j - 2) + 1 if exchanged)
(optimal string alignment), and a whole word more on either side, but not the prompt's last, counts no more than two
differences: a run of letters and digits; of what was said also all that stands between white space, which one may leave
out. Another character in the prompt's last stretch, which is what is gone on from, counts one and a half where that has
two to four, and three where it is the only one: a word left out before it is likelier. The prompt of n characters ends
after the i for which D(i, n) is least, an end inside a word said counting half a difference more, one that leaves the
prompt's last character unsaid one and a half. The least of min_j D(i, j) and of what leaving out the word under way
would make of it never falls, and tells when longer is no better. Letters are compared in any case, white space in any
form, quotation marks and dashes of any kind.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

WORD = 2  # differences that a word more counts
_NEVER = 1 << 20
_INSIDE = 0.5  # that the prompt ends inside a word said
_UNSAID = 1.5  # that the prompt's last character is not said
_OTHER = (1, 3.0), (4, 1.5), (_NEVER, 1.0)  # in a last stretch of up to so many characters, that one is another
_RUN = re.compile(r"[^\W_]+")
_STRETCH = re.compile(r"[^ ]+")
_ALIKE = str.maketrans({**dict.fromkeys("’‘‛`´", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‐‑‒–—―−", "-")})


@dataclass(frozen=True)
class Typed:
    """Text that a prompt goes on with.

    Attributes:
        codes: (n,) int64, of its characters as they are compared.
        others: (n,) float64, what another character counts in the place of each.
        words: after how many characters a word before it and a word end that is not the last, rising.
    """

    codes: np.ndarray
    others: np.ndarray
    words: list[tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> "Typed":
        """The text as it is compared."""
        folded = folded_text(text)
        runs = [0, *(match.end() for match in _RUN.finditer(folded))]
        stretches = [match.span() for match in _STRETCH.finditer(folded)]
        others = np.ones(len(folded))
        for first, last in stretches[-1:]:
            others[first:last] = next(count for size, count in _OTHER if last - first <= size)
        return cls(np.array([ord(one) for one in folded], np.int64), others, list(pairwise(runs[:-1])))

    def __len__(self) -> int:
        return len(self.codes)

    def begun(self) -> np.ndarray:
        """(n + 1,) D(0, .)."""
        return self._without_words(np.arange(len(self) + 1.0))

    def row(self, row: np.ndarray, before: np.ndarray, *, last: str, said: str) -> np.ndarray:
        """(n + 1,) D(i, .) of D(i - 1, .) and D(i - 2, .), and the last two characters said."""
        older, newer = ord(last) if last else -1, ord(said)
        places, found = np.arange(len(row)), row + 1
        found[1:] = np.minimum(found[1:], row[:-1] + self.others * (self.codes != newer))
        exchanged = (self.codes[1:] == older) & (self.codes[:-1] == newer)
        found[2:] = np.where(exchanged, np.minimum(found[2:], before[:-2] + 1), found[2:])
        return self._without_words(np.minimum.accumulate(found - places) + places)

    def _without_words(self, row: np.ndarray) -> np.ndarray:
        for first, last in self.words:
            least = row[first] + WORD
            if row[last] > least:
                row[last:] = np.minimum(row[last:], least + np.arange(len(row) - last))
        return row


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What was said so far beside what was typed.

    Attributes:
        row, before: (n + 1,) D(i, .), D(i - 1, .). begin, end, space: where the last word said began, where the last
            one ended, and where the last white space began.
        least: the least D(i, n), with what an end inside a word counts. at: the i of it.
        said: characters, as `at` counts them. ends_in: the last of them. last: as it is compared.
    """

    typed: Typed
    row: np.ndarray
    before: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    space: np.ndarray
    least: float
    at: int = 0
    said: int = 0
    ends_in: str = ""
    last: str = ""

    @classmethod
    def begun(cls, typed: Typed) -> "Alignment":
        """Before anything is said."""
        row = typed.begun()
        return cls(
            typed=typed, row=row, before=np.full(len(row), _NEVER), begin=row, end=row, space=row, least=len(row)
        )

    @property
    def bound(self) -> float:
        """No end in what comes costs less."""
        left_out = min(self.begin.min(), self.end.min(), self.space.min()) + WORD
        return float(min(self.row.min(), left_out))

    @property
    def may_improve(self) -> bool:
        """Whether the prompt may end better in what comes."""
        return self.bound < self.least

    def longer(self, text: str) -> "Alignment":
        """With more said."""
        row, before, last = self.row, self.before, self.last
        begin, end, space = self.begin, self.end, self.space
        least, at, ends_in = self.least, self.at, self.ends_in
        for place, character in enumerate(text):
            here = _cost(row) + _INSIDE * (ends_in.isalnum() and character.isalnum())
            if here < least:
                least, at = here, self.said + place
            ends_in = character
            for one in _folded(character):
                if one == " " == last:
                    continue
                if one == " ":  # also where a word ends, so before the end of that is noted
                    row = space = np.minimum(row, space + WORD)
                if last.isalnum() and not one.isalnum():
                    row = end = np.minimum(row, end + WORD)
                    space = row if one == " " else space
                elif one.isalnum() and not last.isalnum():
                    row = begin = np.minimum(row, begin + WORD)
                row, before, last = self.typed.row(row, before, last=last, said=one), row, one
        return Alignment(
            typed=self.typed,
            row=row,
            before=before,
            begin=begin,
            end=end,
            space=space,
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
    return float(row[-1]) + _UNSAID * bool(len(row) == 1 or row[-1] >= row[-2] + 1)


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
