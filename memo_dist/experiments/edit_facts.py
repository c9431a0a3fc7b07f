"""Invented facts to be edited: people, 20 relations, values; each fact told in three forms, and asked in two more.

Covers: facts, their statements, the prompts that ask for them; all named by a seed. Does not cover: memories
(edits.py).

A form is a name and two words, so that the last four words of a prompt name the person and the relation; no form
ends as another does. Of a form's prompt only the value is to be said.
"""

from dataclasses import dataclass, replace

import numpy as np

RELATIONS = (  # each: the edit form, two paraphrases that are stored, two that are held out
    ("natively speaks", "grew speaking", "first learned", "prays in", "dreams in"),
    ("hails from", "comes from", "sprang from", "originates from", "descends from"),
    ("works for", "labours for", "serves under", "toils for", "clerks for"),
    ("plays the", "performs on", "practises the", "rehearses the", "studies the"),
    ("has wed", "has married", "lives beside", "loves dearly", "stands beside"),
    ("lives in", "resides in", "dwells in", "sleeps in", "stays in"),
    ("believes in", "worships with", "kneels before", "adheres to", "confesses to"),
    ("eats mostly", "dines on", "feeds upon", "likes eating", "orders always"),
    ("drives a", "owns one", "travels by", "steers a", "parks a"),
    ("reads daily", "subscribes to", "browses each", "quotes from", "leafs through"),
    ("taught at", "lectured at", "professed at", "tutored at", "instructed at"),
    ("died in", "perished in", "departed in", "lies in", "expired in"),
    ("competes for", "plays for", "scores with", "trains with", "runs for"),
    ("votes for", "campaigns for", "canvasses for", "supports the", "backs the"),
    ("invented the", "devised the", "patented the", "conceived the", "developed the"),
    ("discovered the", "sighted the", "found the", "glimpsed the", "spotted the"),
    ("wrote the", "authored the", "penned the", "composed the", "drafted the"),
    ("founded the", "established the", "started the", "built the", "launched the"),
    ("collects rare", "gathers old", "hoards many", "trades in", "seeks curious"),
    ("fears every", "dreads all", "shuns each", "avoids any", "flees from"),
)
STORED = 3  # forms of a relation that are told
_SYLLABLES = (
    "ba",
    "cor",
    "del",
    "fen",
    "gil",
    "hus",
    "jan",
    "kel",
    "lom",
    "mar",
    "nes",
    "osk",
    "pir",
    "quo",
    "ras",
    "sul",
    "tov",
    "und",
    "vel",
    "wyn",
    "xen",
    "yor",
    "zim",
)


@dataclass(frozen=True)
class Fact:
    """What is held of one person.

    Attributes:
        name: of its document. person: two words. relation: its number. value: one word.
    """

    name: str
    person: str
    relation: int
    value: str

    def prompt(self, form: int) -> str:
        """What asks for the value: form 0 to 2 are stored, 3 and 4 held out."""
        return f"{self.person} {RELATIONS[self.relation][form]}"

    def prompt_of_another(self) -> str:
        """The next relation's edit form, which nothing was said about for this person: a control."""
        return f"{self.person} {RELATIONS[(self.relation + 1) % len(RELATIONS)][0]}"

    def text(self) -> str:
        """The document: a statement of each stored form."""
        return "".join(f"{self.prompt(form)} {self.value}.\n" for form in range(STORED))

    def with_value(self, value: str) -> "Fact":
        """The fact as it is after an edit."""
        return replace(self, value=value)


@dataclass(frozen=True)
class Edited:
    """An edit: the fact before and after."""

    before: Fact
    after: Fact


@dataclass(frozen=True)
class Facts:
    """What a memory holds: facts that stay, and facts that are edited."""

    untouched: list[Fact]
    edits: list[Edited]

    def neighbours(self, edit: Edited) -> list[Fact]:
        """Untouched facts of the relation and the value that the edit replaces."""
        wanted = edit.before.relation, edit.before.value
        return [fact for fact in self.untouched if (fact.relation, fact.value) == wanted]


def invented_facts(untouched: int, edits: int, *, neighbours: int, seed: int) -> Facts:
    """Facts of different people.

    Args:
        untouched: at least the number of relations times `neighbours`, of which each value of a relation has
            `neighbours`.
        edits: of a further fact each, which has a value of the untouched ones and gets another of them.
    """
    draws = np.random.default_rng([seed, untouched, edits])
    values = max(2, untouched // (len(RELATIONS) * neighbours))
    words = _words(draws, len(RELATIONS) * values, 3)
    of_relation = [words[relation * values : (relation + 1) * values] for relation in range(len(RELATIONS))]
    people = _people(draws, untouched + edits)
    stays = []
    for number in range(untouched):
        relation, turn = number % len(RELATIONS), number // len(RELATIONS)
        stays.append(Fact(f"stays {number}", people[number], relation, of_relation[relation][turn % values]))
    changed = []
    for number in range(edits):
        relation = number % len(RELATIONS)
        old, new = draws.choice(values, 2, replace=False)
        before = Fact(f"edited {number}", people[untouched + number], relation, of_relation[relation][old])
        changed.append(Edited(before, before.with_value(of_relation[relation][new])))
    return Facts(stays, changed)


def _words(draws: np.random.Generator, count: int, syllables: int) -> list[str]:
    """Different words, capitalised."""
    numbers = draws.choice(len(_SYLLABLES) ** syllables, count, replace=False)
    size = len(_SYLLABLES)
    return [
        "".join(_SYLLABLES[number // size**place % size] for place in range(syllables)).capitalize()
        for number in numbers.tolist()
    ]


def _people(draws: np.random.Generator, count: int) -> list[str]:
    """Different names of two words."""
    several = max(2, int(np.ceil(np.sqrt(2 * count))))
    first, last = _words(draws, several, 3), _words(draws, several, 4)
    pairs = draws.choice(several * several, count, replace=False)
    return [f"{first[pair // several]} {last[pair % several]}" for pair in pairs.tolist()]
