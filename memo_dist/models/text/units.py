"""Units: text as keys read it; folded words, other characters one by one, white space between them.

Covers: folding, kinds of characters, tokens as steps, the table of a vocabulary. Does not cover: hashes of units and
windows (keys.py), the pass over a line of tokens (kernels/windows.py).

Text is read character by character. A word is a maximal run of letters, digits, marks and underscores, folded; of the
other characters that are not white space each is a unit, with those of its kind that follow it at once, so that a line
of dashes is one; white space separates. Folding goes character by character,
NFKD(casefold(NFKD(c))), so it is the same however a text is cut into tokens, and composed and decomposed accents are
alike. docs/decisions/0015 says why this is not NFKC.

A *step* is one folded character, one character of white space as it is written, or one token that is no text alone.
What a token adds to a text is a few steps; a table of them, made once of a vocabulary, is all that keys need.
"""

import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np


class Kind(IntEnum):
    """Kinds of steps."""

    WORD = 0  # a folded character of a word
    OTHER = 1  # another folded character: a unit, with the same ones that follow it
    SPACE = 2  # white space, as it is written
    OPAQUE = 3  # a token that is no text alone: a unit


@dataclass(frozen=True)
class Alphabet:
    """The steps of every token of a vocabulary.

    Attributes:
        bounds: (V + 1,) int64: token v is steps bounds[v] .. bounds[v + 1] - 1; at least one.
        kinds: (s,) uint8, of Kind.
        values: (s,) uint64: a code point; for OPAQUE the token id.
    """

    bounds: np.ndarray
    kinds: np.ndarray
    values: np.ndarray


def alphabet_of(texts: list[str | None]) -> Alphabet:
    """The table of a vocabulary; `texts` as token_texts gives them."""
    steps = [[(Kind.OPAQUE, token)] if text is None else steps_of(text) for token, text in enumerate(texts)]
    steps = [found or [(Kind.OPAQUE, token)] for token, found in enumerate(steps)]
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(found) for found in steps], out=bounds[1:])
    flat = [step for found in steps for step in found]
    return Alphabet(
        bounds, np.array([kind for kind, _ in flat], np.uint8), np.array([value for _, value in flat], np.uint64)
    )


def opaque_alphabet(vocab_size: int) -> Alphabet:
    """The table of a vocabulary without texts: every token is a unit."""
    ids = np.arange(vocab_size, dtype=np.uint64)
    return Alphabet(np.arange(vocab_size + 1, dtype=np.int64), np.full(vocab_size, Kind.OPAQUE, np.uint8), ids)


def steps_of(text: str) -> list[tuple[Kind, int]]:
    """The steps of a text."""
    return [step for character in text for step in _steps(character)]


def unit_spans(text: str) -> list[tuple[int, int]]:
    """Where each unit of a text begins and ends; of a character that folds into several, all share its place."""
    spans: list[tuple[int, int]] = []
    before: tuple[Kind, int] | None = None
    for place, character in enumerate(text):
        for step in _steps(character):
            if goes_on(before, step):
                spans[-1] = (spans[-1][0], place + 1)
            elif step[0] != Kind.SPACE:
                spans.append((place, place + 1))
            before = step
    return spans


def goes_on(before: tuple[Kind, int] | None, step: tuple[Kind, int]) -> bool:
    """Whether a step belongs to the unit of the step before it."""
    if before is None or before[0] != step[0]:
        return False
    return step[0] == Kind.WORD or (step[0] == Kind.OTHER and before[1] == step[1])


@cache
def _steps(character: str) -> tuple[tuple[Kind, int], ...]:
    if character.isspace():
        return ((Kind.SPACE, ord(character)),)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    kept = [one for one in folded if not one.isspace()] or [character]  # an accent alone folds to a space with it
    return tuple((Kind.WORD if _in_words(one) else Kind.OTHER, ord(one)) for one in kept)


def _in_words(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LNM"
