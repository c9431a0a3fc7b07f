"""Relations of a world: how each is told in a document and asked in a question.

Covers: nouns, sentences, questions and their paraphrases, inverses. Does not cover: whom they hold of (world.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """How one relation is written.

    Attributes:
        noun: as questions of several hops say it: "the NOUN of ...".
        sentence: of a document, with {subject} and {object}; asked: its question, with {subject}; forms: the same
            question in other words.
        inverse: the noun of the relation from object to subject, if an object has one subject alone.
    """

    noun: str
    sentence: str
    asked: str
    forms: tuple[str, ...]
    inverse: str | None = None


RELATIONS = {
    one.noun: one
    for one in (
        Relation(
            "birthplace",
            "{subject} was born in the town of {object}.",
            "What is the birthplace of {subject}?",
            ("Where was {subject} born?", "In which town was {subject} born?", "Which town is {subject} from?"),
        ),
        Relation(
            "year of birth",
            "{subject} came into the world in the year {object}.",
            "What is the year of birth of {subject}?",
            ("When was {subject} born?", "In what year was {subject} born?", "Which year saw the birth of {subject}?"),
        ),
        Relation(
            "year of death",
            "{subject} died in the year {object}.",
            "What is the year of death of {subject}?",
            ("When did {subject} die?", "In what year did {subject} die?", "Which year saw the death of {subject}?"),
        ),
        Relation(
            "profession",
            "{subject} worked as {object} by profession.",
            "What is the profession of {subject}?",
            ("What did {subject} work as?", "What was {subject}'s job?", "How did {subject} earn a living?"),
        ),
        Relation(
            "instrument",
            "{subject} played the {object} in the evenings.",
            "What is the instrument of {subject}?",
            ("What did {subject} play?", "Which instrument did {subject} play?", "What was {subject} heard playing?"),
        ),
        Relation(
            "favourite dish",
            "{subject} liked {object} best of all dishes.",
            "What is the favourite dish of {subject}?",
            ("What did {subject} like to eat?", "Which dish did {subject} prefer?", "What was {subject}'s best meal?"),
        ),
        Relation(
            "company",
            "{subject} founded the company {object}.",
            "What is the company of {subject}?",
            ("What did {subject} found?", "Which company did {subject} found?", "Which firm is {subject} behind?"),
            inverse="founder",
        ),
        Relation(
            "pupil",
            "{subject} was the mentor of {object}.",
            "What is the pupil of {subject}?",
            ("Whom did {subject} teach?", "Who learned from {subject}?", "Whose mentor was {subject}?"),
            inverse="mentor",
        ),
        Relation(
            "country",
            "{subject} lies in the country of {object}.",
            "What is the country of {subject}?",
            ("Where does {subject} lie?", "In which country is {subject}?", "Which country does {subject} belong to?"),
        ),
        Relation(
            "river",
            "{subject} stands on the river {object}.",
            "What is the river of {subject}?",
            ("Which river flows by {subject}?", "On which river is {subject}?", "What water does {subject} stand on?"),
        ),
        Relation(
            "trade",
            "{subject} lives from its {object}.",
            "What is the trade of {subject}?",
            ("What does {subject} live from?", "What is made in {subject}?", "Which trade does {subject} have?"),
        ),
        Relation(
            "charter year",
            "{subject} got its charter in the year {object}.",
            "What is the charter year of {subject}?",
            ("When did {subject} get its charter?", "How old is {subject}'s charter?", "When was {subject} chartered?"),
        ),
        Relation(
            "fair",
            "{subject} holds its fair in {object}.",
            "What is the fair of {subject}?",
            ("When is {subject}'s fair?", "In which month is {subject}'s fair?", "When does {subject} hold its fair?"),
        ),
    )
}
INVERSES = {
    "mentor": Relation(
        "mentor",
        "{object} was the mentor of {subject}.",
        "What is the mentor of {subject}?",
        ("Who taught {subject}?", "Who was the mentor of {subject}?", "From whom did {subject} learn?"),
    ),
    "founder": Relation(
        "founder",
        "{object} founded the company {subject}.",
        "What is the founder of {subject}?",
        ("Who founded {subject}?", "Who set up {subject}?", "Whose company is {subject}?"),
    ),
}
ALL_RELATIONS = {**RELATIONS, **INVERSES}
PRONOUNS = ("instrument", "favourite dish")  # told as "They ..."
