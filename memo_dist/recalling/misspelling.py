"""Misspelling: what may have been meant by a word that was typed or scanned.

Covers: Damerau's four slips of a letter, characters that a scanner takes for one another. Does not cover: which word it
is that was misspelled (corrections.py, seeds.py).
"""

from collections.abc import Iterator

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALIKE = ("0o", "1l", "1i", "il", "5s", "8b", "2z", "6b", "9g", "ce", "bh", "nu", "ft", "ao", "gq", "vy", "nr", "np")
_TWO = {"rn": "m", "cl": "d", "vv": "w", "lc": "k", "ii": "u", "li": "h", "1i": "l"}


def with_fewer(word: str) -> Iterator[str]:
    """With two characters exchanged, or one left out."""
    for i in range(len(word)):
        if i + 1 < len(word) and word[i] != word[i + 1]:
            yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        if len(word) > 1:
            yield word[:i] + word[i + 1 :]


def with_others(word: str) -> Iterator[str]:
    """With another letter, or one more; none for a word of one, of which nothing would be left that was typed."""
    if len(word) == 1:
        return
    for i in range(len(word) + 1):
        for letter in _LETTERS:
            yield word[:i] + letter + word[i:]
            if i < len(word) and word[i].isalpha() and word[i].lower() != letter:
                yield word[:i] + letter + word[i + 1 :]


def as_scanned(word: str) -> Iterator[str]:
    """What may have stood where a scanner read it, in lower case: one character, or two, taken for another."""
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
