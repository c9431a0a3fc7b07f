"""World: people, their relations and documents about them, with questions whose answers and documents are known.

Covers: a world that a seed names, what is true in it, its documents, questions of one, two and three hops, what counts
as right. Does not cover: language models that read it (world_model.py), memories.

Every fact is a triple: a subject, a relation, an object. The inverses of "pupil" and "company" ("mentor", "founder")
stand in no document as such; a memory of forward facts alone cannot answer them.
"""

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from memo_dist.experiments.world_relations import ALL_RELATIONS, INVERSES, PRONOUNS, RELATIONS

_HEADS = ("Ad", "Bel", "Cor", "Dal", "El", "Fen", "Gar", "Hol", "Iv", "Jor", "Kel", "Lor", "Mar", "Nor", "Or", "Per")
_TAILS = ("a", "an", "en", "ia", "in", "is", "o", "on", "ra", "us")
_HOUSES = ("Ash", "Birch", "Clay", "Drum", "East", "Frost", "Glen", "Hart", "Iron", "Kirk", "Lark", "Moor", "North")
_PLACES = ("bridge", "by", "combe", "dale", "field", "ford", "gate", "holm", "ley", "mere", "stead", "wick")
_MAKES = ("Bells", "Clocks", "Dyes", "Engines", "Glass", "Lamps", "Maps", "Paper", "Pumps", "Ropes", "Tiles", "Violins")
_COUNTRIES = ("Arvenia", "Boreland", "Cassovia", "Dorvania", "Estmark", "Farlund", "Gallora", "Hestria")
_WORK = ("architect", "baker", "cartographer", "dentist", "engineer", "geologist", "lawyer", "painter", "surgeon")
_PLAYED = ("bassoon", "cello", "clarinet", "flute", "harp", "oboe", "trumpet", "viola")
_DISHES = ("barley soup", "fish pie", "lentil stew", "mushroom toast", "plum cake", "potato salad", "rye dumplings")
_RIVERS = ("Alder", "Brenn", "Corra", "Duth", "Ister", "Lune", "Morva", "Tarn")


_OF_PEOPLE = tuple(RELATIONS)[:8]
_OF_TOWNS = tuple(RELATIONS)[8:]
_MONTHS = ("January", "March", "April", "May", "June", "August", "September", "October", "December")


@dataclass(frozen=True)
class Fact:
    """A triple, and the document that says it."""

    subject: str
    relation: str
    object: str
    document: str


@dataclass(frozen=True)
class WorldQuestion:
    """A question whose answer is known.

    Attributes:
        id: "2-17". text: the question. answer: a name, a number or a word. hops: facts that it takes.
        documents: that hold those facts, in the order in which they are needed.
        reverse: whether some fact is asked against its direction.
    """

    id: str
    text: str
    answer: str
    hops: int
    documents: tuple[str, ...]
    reverse: bool


@dataclass(frozen=True)
class World:
    """What a seed names: people, towns, facts, documents.

    Args:
        seed: names everything. people: how many; a town comes with every five of them.

    Example:
        >>> world = World(seed=7, people=200)
        >>> dict(world.documents()), world.questions(100)
    """

    seed: int = 0
    people: int = 200
    facts: tuple[Fact, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", tuple(_facts(self.seed, self.people)))

    def documents(self) -> Iterator[tuple[str, str]]:
        """(id, text) of every document, of 6 to 9 sentences. Two facts of a person are told with a pronoun."""
        of: dict[str, list[Fact]] = {}
        for fact in self.facts:
            of.setdefault(fact.document, []).append(fact)
        for name, facts in of.items():
            subject, person = facts[0].subject, name.startswith("person")
            opening = f"{subject} is a {'person' if person else 'town'} of whom this page tells."
            told = [opening] + [
                RELATIONS[fact.relation].sentence.format(
                    subject="They" if person and fact.relation in PRONOUNS else subject, object=fact.object
                )
                for fact in facts
            ]
            yield name, " ".join(told)

    def questions(self, each: int) -> list[WorldQuestion]:
        """So many different questions of one, of two and of three hops.

        Raises:
            ValueError: this world has fewer.
        """
        steps = self.steps()
        draws = np.random.default_rng([self.seed, self.people, 2])
        found: list[WorldQuestion] = []
        for hops in (1, 2, 3):
            chains = [(start, chain) for chain in _CHAINS[hops] for start in sorted(self._starts(chain[0]))]
            if len(chains) < each:
                raise ValueError(f"{each} questions of {hops} hops were asked for; this world has {len(chains)}")
            for number, place in enumerate(draws.permutation(len(chains))[:each]):
                start, chain = chains[int(place)]
                found.append(_question(f"{hops}-{number}", start, chain, steps=steps))
        return found

    def steps(self) -> dict[tuple[str, str], Fact]:
        """(subject, noun) -> the fact that answers "What is the NOUN of SUBJECT?", inverses too."""
        forward = {(fact.subject, fact.relation): fact for fact in self.facts}
        back = {
            (fact.object, inverse): Fact(fact.object, inverse, fact.subject, fact.document)
            for fact in self.facts
            if (inverse := RELATIONS[fact.relation].inverse)
        }
        return {**forward, **back}

    def _starts(self, noun: str) -> set[str]:
        return {subject for subject, relation in self.steps() if relation == noun}


_PEOPLE = ("mentor", "pupil", "founder")  # relations whose object is a person
_CHAINS: dict[int, list[tuple[str, ...]]] = {
    1: [(noun,) for noun in (*_OF_PEOPLE, *_OF_TOWNS, "mentor", "founder")],
    2: [
        *[
            (first, then)
            for first in ("mentor", "pupil", "founder")
            for then in ("profession", "instrument", "favourite dish")
        ],
        *[("birthplace", then) for then in ("country", "river", "trade")],
    ],
    3: [
        *[(first, "birthplace", then) for first in _PEOPLE for then in ("country", "river")],
        *[("founder", first, then) for first in ("mentor", "pupil") for then in ("profession", "year of birth")],
    ],
}


def chain_text(start: str, chain: Sequence[str]) -> str:
    """The question that follows relations from a name on: "What is the country of the birthplace of Ada Ashby?"."""
    said = start
    for noun in chain:
        said = f"the {noun} of {said}"
    return f"What is {said}?"


def chain_of(question: str) -> tuple[str, tuple[str, ...]] | None:
    """The name and relations of a question as chain_text words it; None of another."""
    said = re.fullmatch(r"What is (the .+)\?", question.strip())
    if said is None:
        return None
    rest, chain = said[1], list[str]()
    while found := _LINK.match(rest):
        chain.insert(0, found[1])
        rest = rest[found.end() :]
    return (rest, tuple(chain)) if chain and rest else None


_LINK = re.compile(f"the ({'|'.join(sorted(ALL_RELATIONS, key=len, reverse=True))}) of ")


def is_right(answer: str, expected: str) -> bool:
    """Whether two answers are equal but for case, punctuation, articles and white space."""
    return _plain(answer) == _plain(expected)


def _plain(text: str) -> list[str]:
    words = "".join(one for one in text.lower() if one not in string.punctuation).split()
    return [word for word in words if word not in ("a", "an", "the")]


def _question(name: str, start: str, chain: tuple[str, ...], *, steps: dict[tuple[str, str], Fact]) -> WorldQuestion:
    subject, documents = start, list[str]()
    for noun in chain:
        fact = steps[subject, noun]
        subject = fact.object
        documents.append(fact.document)
    reverse = any(noun in INVERSES for noun in chain)
    return WorldQuestion(
        id=name,
        text=chain_text(start, chain),
        answer=subject,
        hops=len(chain),
        documents=tuple(documents),
        reverse=reverse,
    )


def _facts(seed: int, people: int) -> Iterator[Fact]:
    """All facts, document by document."""
    draws = np.random.default_rng([seed, people, 1])
    names = _names(draws, people, ((f"{a}{b}" for a in _HEADS for b in _TAILS), _houses()))
    towns = _drawn(draws, [f"Port {house}{place}" for house in _HOUSES for place in _PLACES], max(2, people // 5))
    firms = _names(draws, people, (_houses(), iter(_MAKES)))
    circle = draws.permutation(people)  # everybody has one mentor and one pupil, never themselves
    pupil = {int(one): int(following) for one, following in pairwise([*circle, circle[0]])}
    for number, name in enumerate(names):
        born = int(draws.integers(1700, 1900))
        objects = (
            towns[int(draws.integers(len(towns)))],
            str(born),
            str(born + int(draws.integers(30, 95))),
            _one(draws, _WORK),
            _one(draws, _PLAYED),
            _one(draws, _DISHES),
            firms[number],
            names[pupil[number]],
        )
        yield from _document(f"person-{number:04d}", name, zip(_OF_PEOPLE, objects, strict=True))
    for number, town in enumerate(towns):
        objects_of_town = (
            _one(draws, _COUNTRIES),
            _one(draws, _RIVERS),
            _one(draws, tuple(make.lower() for make in _MAKES)),
            str(int(draws.integers(1100, 1500))),
            _one(draws, _MONTHS),
        )
        yield from _document(f"town-{number:04d}", town, zip(_OF_TOWNS, objects_of_town, strict=True))


def _document(name: str, subject: str, told: Iterator[tuple[str, str]]) -> Iterator[Fact]:
    for relation, object_ in told:
        yield Fact(subject, relation, object_, name)


def _houses() -> Iterator[str]:
    return (f"{house}{place}" for house in _HOUSES for place in _PLACES)


def _names(draws: np.random.Generator, count: int, parts: tuple[Iterator[str], Iterator[str]]) -> list[str]:
    """Different names of two words."""
    first, last = (list(part) for part in parts)
    return _drawn(draws, [f"{a} {b}" for a in first for b in last], count)


def _drawn(draws: np.random.Generator, pool: list[str], count: int) -> list[str]:
    if count > len(pool):
        raise ValueError(f"a world has room for {len(pool)} such names; {count} were asked for")
    return [pool[int(place)] for place in draws.permutation(len(pool))[:count]]


def _one(draws: np.random.Generator, pool: tuple[str, ...]) -> str:
    return pool[int(draws.integers(len(pool)))]
