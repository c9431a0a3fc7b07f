"""Words of a question: what is read of it, word by word.

Covers: folding, leading phrases, stop words, stems. Does not cover: the forms made of words (forms.py).

Text is folded by NFKC and case; punctuation separates words, but for what tells one thing from another: a sign before a
number, points and colons within one, and signs such as + and #, which are words of their own ("C++" and "C#").
"""

import unicodedata
from collections.abc import Sequence

_WITHIN = ".,:/'"  # between two digits they belong to the number
_ALONE = "#%&@*"  # punctuation that is a word
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})
#: Of questions: words that say nothing by themselves. What points from one to another ("by", "did", "in") is not here.
STOP_WORDS = frozenset(["a", "an", "the", "is", "are", "was", "were", "be", "been", "being", "am", "s", "please"])
_ENDINGS = frozenset(["of"])  # says nothing in the middle; at an end it tells who is asked for
_SAME = {"do": "did", "does": "did", "has": "have", "had": "have"}
_LEADING = tuple(
    tuple(phrase.split())
    for phrase in (
        "please",
        "question",
        "q",
        "hi",
        "hello",
        "so",
        "can you tell me",
        "could you tell me",
        "would you tell me",
        "can you please tell me",
        "could you please tell me",
        "can you say",
        "can you answer",
        "do you know",
        "do you happen to know",
        "tell me",
        "i want to know",
        "i would like to know",
        "i d like to know",
        "i wonder",
        "answer this question",
        "answer the following question",
    )
)
_VOWELS = set("aeiouy")


def folded(text: str) -> list[str]:
    """The words of a text, in order, folded."""
    characters = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    words: list[str] = []
    word = ""
    for place, character in enumerate(characters):
        before, after = characters[place - 1 : place] if place else "", characters[place + 1 : place + 2]
        kind = unicodedata.category(character)[0]
        within = character in _WITHIN and before.isdigit() and after.isdigit()
        sign = character in "-\u2212" and after.isdigit() and not before.isalnum()
        if kind in "LNM" or within or sign:
            word += "-" if sign else character
            continue
        words += [word] if word else []
        words += [character] if kind == "S" or character in _ALONE else []
        word = ""
    return [*words, word] if word else words


def without_leading(words: Sequence[str]) -> list[str]:
    """Without phrases that ask to be answered, such as "can you tell me"; a text of nothing else stays."""
    left = list(words)
    while True:
        cut = max((len(p) for p in _LEADING if tuple(left[: len(p)]) == p and len(p) < len(left)), default=0)
        if not cut:
            return left
        left = left[cut:]


def content(words: Sequence[str]) -> list[str]:
    """Without stop words, in order; auxiliaries in one form."""
    last = len(words) - 1
    kept = [w for i, w in enumerate(words) if w not in STOP_WORDS and (w not in _ENDINGS or i in (0, last))]
    return [_SAME.get(word, word) for word in kept] or list(words)


def stem(word: str) -> str:
    """A word without a plural's or a verb's ending; only of letters of English, and not the shortest."""
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and _VOWELS & set(rest):
            doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
            return (rest[:-1] if doubled else rest).removesuffix("e")
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def names_in(text: str, entities: Sequence[str]) -> list[str]:
    """The words of a text that belong to names, folded, in order: capitalised ones within it, and those of entities."""
    capitals = {word for part in text.split()[1:] if part.lstrip("\"'(")[:1].isupper() for word in folded(part)}
    known = {word for entity in entities for word in folded(entity)}
    return [word for word in folded(text) if word in (capitals | known) - STOP_WORDS - _ENDINGS]
