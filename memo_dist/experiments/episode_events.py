"""Invented events, each of a date, a place, an entity and a content, and questions that some parts ask about another.

Covers: events (after the Episodic Memories benchmark, arXiv 2501.13121), cues, questions by how many events they match;
all named by a seed. Does not cover: memories (episodes.py).

A cue is a row of five tokens: which part is asked, then the parts that are known, 0 for one that is not. Dates are
numbers that rise with time.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

VOCABULARY = 8192
PARTS = ("date", "place", "entity", "content")
DATE = PARTS.index("date")
GROUPS = ("none", "one", "two", "few", "many")  # events that a question matches: 0, 1, 2, 3 to 5, 6 and more
_UNKNOWN, _FIRST = 0, len(PARTS) + 1  # tokens: no part, and the first value; between them which part is asked
_SKEW = 0.7  # the chance of a value falls as its rank to this power
Cue = tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """`cue` asks for the values of its part; `events`, (n, 4), are all that match it, by date."""

    cue: Cue
    events: tuple[tuple[int, ...], ...]

    @property
    def asked(self) -> int:
        """The part of PARTS that is asked."""
        return self.cue[0] - 1

    @property
    def values(self) -> set[int]:
        """What is right."""
        return {event[self.asked] for event in self.events}

    @property
    def group(self) -> str:
        """Of GROUPS."""
        return GROUPS[int(np.searchsorted((1, 2, 3, 6), len(self.events), side="right"))]


def values_of(count: int) -> int:
    """How many different values each part has in so many events at most; as many more are never used."""
    return max(8, min(count // 5, (VOCABULARY - _FIRST) // (2 * len(PARTS))))


def invented_events(count: int, draws: np.random.Generator) -> np.ndarray:
    """(count, 4) tokens: different events; of a part, some values are much commoner than others."""
    size = values_of(count)
    chance = np.arange(1, size + 1) ** -_SKEW
    used = [draws.permutation(_unused_too(part, size))[:size] for part in range(len(PARTS))]
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        found[tuple(int(draws.choice(ids, p=chance / chance.sum())) for ids in used)] = None
    return np.array(list(found))


def cue_of(event: Iterable[int], known: Iterable[int], asked: int) -> Cue:
    """The cue that asks for a part by others."""
    parts, given = tuple(event), set(known)
    return (asked + 1, *(parts[part] if part in given else _UNKNOWN for part in range(len(PARTS))))


def with_date(cue: Cue, date: int, asked: int) -> Cue:
    """A cue with its date known, asking for a part."""
    return (asked + 1, *(date if part == DATE else cue[part + 1] for part in range(len(PARTS))))


def all_questions(events: np.ndarray) -> dict[Cue, Question]:
    """Each cue that some event matches: 28 ways to ask, by one, two or three parts for another."""
    matching: dict[Cue, list[tuple[int, ...]]] = defaultdict(list)
    for row in events.tolist():
        for asked in range(len(PARTS)):
            others = [part for part in range(len(PARTS)) if part != asked]
            for known in (some for size in (1, 2, 3) for some in combinations(others, size)):
                matching[cue_of(row, known, asked)].append(tuple(row))
    return {cue: Question(cue, tuple(sorted(found))) for cue, found in matching.items()}


def drawn_questions(
    events: np.ndarray, questions: dict[Cue, Question], *, each: int, draws: np.random.Generator
) -> dict[str, list[Question]]:
    """Up to `each` different questions of every group; those of "none" are cues of an event with one part wrong:
    another value of that part, so that no event matches."""
    found: dict[str, list[Question]] = {group: [] for group in GROUPS}
    cues = list(questions)
    for place in draws.permutation(len(cues)).tolist():
        question = questions[cues[place]]
        if len(found[question.group]) < each:
            found[question.group].append(question)
    wrong: dict[Cue, None] = {}
    size = values_of(len(events))
    while len(wrong) < min(each, len(cues)):
        cue = list(cues[draws.integers(len(cues))])
        part = draws.choice([part for part in range(len(PARTS)) if cue[part + 1] != _UNKNOWN])
        cue[part + 1] = int(draws.choice(_unused_too(int(part), size)))
        if tuple(cue) not in questions:
            wrong[tuple(cue)] = None
    found[GROUPS[0]] = [Question(cue, ()) for cue in wrong]
    return found


def ordered_questions(questions: dict[Cue, Question], each: int, draws: np.random.Generator) -> list[Question]:
    """Up to `each` questions without a date about another part, of two events or more, all of different dates and with
    different answers: these have one order in time."""
    fit = [
        one
        for one in questions.values()
        if one.asked != DATE
        and one.cue[DATE + 1] == _UNKNOWN
        and len(one.events) > 1
        and len({event[DATE] for event in one.events}) == len(one.values) == len(one.events)
    ]
    return [fit[place] for place in sorted(draws.permutation(len(fit))[:each].tolist())]


def _unused_too(part: int, size: int) -> np.ndarray:
    """The tokens of a part: 2 x size, of which half are in events."""
    first = _FIRST + 2 * size * part
    return np.arange(first, first + 2 * size)
