"""Forms: a question as it is written, and what is left of it when less and less of its wording counts.

Covers: the forms, a cue of each. Does not cover: words (words.py), what cues lead to (layout.py).

A cue is 16 bytes, and as many tokens: BLAKE2b-128 of the form, personalised by its kind, so that no form of one kind is
taken for one of another.
"""

import hashlib
from collections.abc import Iterator, Sequence
from enum import Enum

from memo_dist.reflections.words import content, folded, names_in, stem, without_leading

CUE_TOKENS = 16
_LONGEST_NAME = 5  # words
_APART = "\x1f"
#: Words that name no relation.
_ASKING = frozenset(
    (
        *("who", "whom", "whose", "what", "which", "when", "where", "why", "how", "did", "have"),
        *("in", "on", "at", "to", "by", "for", "from", "with", "and", "or", "that", "this", "it", "of"),
    )
)


class Kind(Enum):
    """Kinds of forms, the strictest first: its name in a hash, and in words."""

    RAW = ("raw", "as it is written")
    FOLDED = ("folded", "but for case, punctuation and leading phrases")
    CONTENT = ("content", "but for stop words")
    BAG = ("bag", "in another order")
    STEMS = ("stems", "but for endings and order")
    PAIRS = ("pairs", "by name and relation")

    @property
    def told(self) -> str:
        """In words, behind "the question"."""
        return self.value[1]


KINDS = tuple(kind for kind in Kind if kind is not Kind.PAIRS)
FREE = (Kind.BAG, Kind.STEMS, Kind.PAIRS)  # kinds that do not know the order of words


def cue(kind: str, text: str) -> bytes:
    """The 16 bytes that a form of a kind is found by."""
    return hashlib.blake2b(text.encode(), digest_size=CUE_TOKENS, person=kind.encode()).digest()


def form(kind: Kind, question: str) -> str:
    """What is left of a question."""
    if kind is Kind.RAW:
        return question.strip()
    words = without_leading(folded(question))
    if kind is not Kind.FOLDED:
        words = content(words)
    if kind is Kind.STEMS:
        words = [stem(word) for word in words]
    return " ".join(sorted(words) if kind in (Kind.BAG, Kind.STEMS) else words)


def stored_cues(question: str, forms: Sequence[str], entities: Sequence[str]) -> list[bytes]:
    """The cues of a question to be memorized, each once: of all its forms, of those of its paraphrases but for their
    very wording, and of each entity with each word of what is asked of it."""
    found = [cue(Kind.RAW.value[0], form(Kind.RAW, question))]
    found += [cue(kind.value[0], form(kind, text)) for text in (question, *forms) for kind in KINDS[1:]]
    return list(dict.fromkeys([*found, *_pairs_of((question, *forms), entities)]))


def asked_cues(question: str) -> list[tuple[Kind, bytes]]:
    """The cues of a question that is asked, the strictest kind first."""
    found = [(kind, cue(kind.value[0], form(kind, question))) for kind in KINDS]
    words = without_leading(folded(question))
    pairs = {
        _pair(words[first:stop], word)
        for first in range(len(words))
        for stop in range(first + 1, min(first + _LONGEST_NAME, len(words)) + 1)
        for word in _relations([*words[:first], *words[stop:]])
    }
    return [*found, *((Kind.PAIRS, one) for one in sorted(pairs))]


def _pairs_of(questions: Sequence[str], entities: Sequence[str]) -> Iterator[bytes]:
    for question in questions:
        words = without_leading(folded(question))
        for entity in entities:
            name = folded(entity)
            first = next((i for i in range(len(words)) if name and words[i : i + len(name)] == name), None)
            if first is not None and len(name) <= _LONGEST_NAME:
                for word in _relations([*words[:first], *words[first + len(name) :]]):
                    yield _pair(name, word)


def _relations(words: Sequence[str]) -> list[str]:
    return [stem(word) for word in content(words) if word not in _ASKING] if words else []


def _stems(question: str) -> list[str]:
    return [stem(word) for word in content(without_leading(folded(question)))]


def _pair(name: Sequence[str], word: str) -> bytes:
    return cue(Kind.PAIRS.value[0], " ".join(name) + _APART + word)


def agree(kind: Kind, asked: str, *, stored: Sequence[str], entities: Sequence[str]) -> str | None:
    """The stored question that an asked one is a form of this kind of; None if none is, whatever their hashes say."""
    if kind is Kind.PAIRS:
        return _nearest(asked, stored, entities)
    wanted = form(kind, asked)
    for text in stored:
        if form(kind, text) == wanted and (kind not in FREE or _order_is_free(asked, text, entities)):
            return text
    return None


def _order_is_free(asked: str, text: str, entities: Sequence[str]) -> bool:
    """Whether two questions of the same words ask the same, though in another order.

    Names must be there, the same, in the same order ("is A the teacher of B"); no relation may stand on another ("the
    teacher of the father of A", "A's teacher's father"); and of words that are neither names nor such as "who", two may
    change places, more may not ("which painter taught the pilot A").
    """
    names = names_in(text, entities)
    if not names or [word for word in folded(asked) if word in set(names)] != names:
        return False
    if max(_genitives(asked, entities), _genitives(text, entities)) > 1:
        return False
    mine, others = ([stem(w) for w in content(folded(one)) if w not in {*names, *_ASKING}] for one in (asked, text))
    return len(mine) < 3 or sorted(mine) != sorted(others) or mine == others


def _genitives(question: str, entities: Sequence[str]) -> int:
    """How many times something is said to be of something, names aside."""
    words = f" {' '.join(folded(question))} "
    for entity in entities:
        words = words.replace(f" {' '.join(folded(entity))} ", " / ")
    return sum(word in ("of", "s") for word in words.split())


def _nearest(asked: str, stored: Sequence[str], entities: Sequence[str]) -> str | None:
    """The stored question with the most words in common, more than half of all, if every word asked is in one of them.

    Words such as "who" and "by" must all be in that one: others with them ask the other way round.
    """
    words = set(_stems(asked))
    several = [set(_stems(text)) for text in stored]
    if not words <= set[str]().union(*several):
        return None
    likely = sorted((-len(words & one) / len(words | one), at) for at, one in enumerate(several))
    for share, at in likely:
        if -share > 0.5 and words & _ASKING <= several[at] and _order_is_free(asked, stored[at], entities):
            return stored[at]
    return None
