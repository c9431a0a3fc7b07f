"""Questions to a memory of reflections: those that are stored, other wordings of them, and neighbours that are not.

1,000 of 1,100 facts of 220 people, of five relations, are memorized with two or three paraphrases each. Asked are the
stored questions and paraphrases; wordings that are not stored; the same of the 100 facts that are not (same person,
other relation; same relation, other person); questions of the same words that ask something else; names nearly held.

    python benchmarks/recall/reflections.py [--form working|solved|sums] [--no-forms] [--no-entities]
"""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memo_dist
from benchmarks.common.script import script_parser
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist.files.published_writer import publish
from memo_dist.recalling.lookup import Lookup
from memo_dist.reflections.answering import answer_questions
from memo_dist.reflections.building import build_reflections
from memo_dist.reflections.reflection import Reflection

_BEGINNINGS = ("An", "Be", "Ca", "Da", "El", "Fi", "Ga", "Ha", "Iv", "Jo", "Ka", "Le")
_STEMS = ("Kel", "Mor", "Val", "Bro", "Ste", "Win", "Har", "Lan", "Os", "Tre")
FIRST = [a + b for a in _BEGINNINGS for b in ("na", "ris", "dor", "mel", "rik", "vin")]
LAST = [a + b for a in _STEMS for b in ("ler", "ton", "gard", "mann", "s", "den", "by", "wick")]
PEOPLE, STORED = 220, 1000
#: Of each relation the question, paraphrases that are stored, and wordings that are not.
RELATIONS: dict[str, tuple[str, list[str], list[str]]] = {
    "city": (
        "In which city was {} born?",
        ["What city was {} born in?", "What is the birthplace of {}?", "Where was {} born?"],
        [
            "{} was born in which city?",
            "could you tell me where {} was born",
            "Name the town in which {} came into the world.",
            "Which city is {}'s birthplace?",
            "in what city was {} born",
        ],
    ),
    "year": (
        "In which year was {} born?",
        ["What year was {} born in?", "When was {} born?", "What is the birth year of {}?"],
        [
            "{} was born in which year?",
            "tell me when {} was born",
            "{}'s year of birth?",
            "What is {}'s birth year?",
        ],
    ),
    "mentor": (
        "Who is the mentor of {}?",
        ["Who is {}'s mentor?", "Who mentored {}?", "By whom was {} mentored?"],
        [
            "who's the mentor of {}",
            "{}'s mentor is who?",
            "Who taught {}?",
            "Who was the mentor of {}?",
        ],
    ),
    "company": (
        "Which company did {} found?",
        ["What company was founded by {}?", "Which firm did {} establish?"],
        [
            "{} founded which company?",
            "Which companies did {} found?",
            "What business did {} start?",
            "The company founded by {} is what?",
        ],
    ),
    "job": (
        "What is the profession of {}?",
        ["What is {}'s profession?", "What does {} do for a living?"],
        [
            "What profession does {} have?",
            "what's the profession of {}",
            "How does {} earn money?",
        ],
    ),
}
OTHERS = (
    "Who did {} mentor?",
    "Who is {} the mentor of?",
    "Whom does {} mentor?",
    "Who was mentored by {}?",
    "Who is the mentor of the mentor of {}?",
    "When did {}'s mentor die?",
    "In which city was the mentor of {} born?",
    "In which country was {} born?",
    "Which company did {} leave?",
    "Who is not the mentor of {}?",
)
Asked = tuple[str, str | None]  # a question, and the answer that is right


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--form", choices=("working", "solved", "sums"), default="working")
    parser.add_argument("--no-forms", action="store_true", help="store no paraphrases")
    parser.add_argument("--no-entities", action="store_true", help="store no entities")
    parser.add_argument("--most", type=int, default=10_000, help="questions of a kind")
    arguments = parser.parse_args()
    drawn = random.Random(5)
    people = drawn.sample([f"{first} {last}" for first in FIRST for last in LAST], PEOPLE)
    facts = {(person, relation): f"fact {i}" for i, (person, relation) in enumerate(_pairs(people))}
    keys = list(facts)
    drawn.shuffle(keys)
    rows = {
        key: _row(key, facts[key], forms=not arguments.no_forms, entities=not arguments.no_entities) for key in keys
    }
    stored = [rows[key] for key in keys[:STORED]]
    with tempfile.TemporaryDirectory() as folder:
        memory = _made(Path(folder), stored, arguments.form)
        size = sum(f.stat().st_size for f in memory.rglob("*") if f.is_file())
        print(f"{len(stored)} reflections, {arguments.form}, {size:,} bytes")
        with memo_dist.open(memory) as opened:
            for name, asked in _asked(keys, rows, people, drawn=drawn).items():
                _told(name, asked[: arguments.most], opened.session.lookup)


def _pairs(people: list[str]) -> list[tuple[str, str]]:
    return [(person, relation) for person in people for relation in RELATIONS]


def _row(key: tuple[str, str], answer: str, *, forms: bool, entities: bool) -> Reflection:
    person, relation = key
    question, others, _ = RELATIONS[relation]
    return Reflection(
        id=f"{relation} of {person}",
        question=question.format(person),
        answer=answer,
        forms=tuple(one.format(person) for one in others) if forms else (),
        entities=(person,) if entities else (),
        docs=(person,),
    )


def _made(folder: Path, rows: list[Reflection], form: str) -> Path:
    (folder / "rows.jsonl").write_text("".join(row.to_json() + "\n" for row in rows))
    build_reflections(folder / "rows.jsonl", folder / "working")
    if form == "solved":
        publish_solved(folder / "working", folder / form, PublishOptions(resources=Resources(address="none")))
    if form == "sums":
        publish(folder / "working", folder / form, 4)
    return folder / form


def _asked(
    keys: list[tuple[str, str]], rows: dict[tuple[str, str], Reflection], people: list[str], *, drawn: random.Random
) -> dict[str, list[Asked]]:
    held, others = keys[:STORED], keys[STORED:]

    def of(some: list[tuple[str, str]], wordings: Callable[[str], list[str]]) -> list[str]:
        return [one.format(person) for person, relation in some for one in wordings(relation)]

    def all_of(relation: str) -> list[str]:
        return [RELATIONS[relation][0], *RELATIONS[relation][1], *RELATIONS[relation][2]]

    near = [
        name
        for person in people
        for first, last in [person.split()]
        for name in (
            person + "s",
            person[:-1],
            f"{last} {first}",
            f"{first} X. {last}",
            f"{first} {drawn.choice(LAST)}",
        )
        if name not in people
    ]
    unseen = [(one.format(key[0]), rows[key].answer) for key in held for one in RELATIONS[key[1]][2]]
    return {
        "stored questions": [(rows[key].question, rows[key].answer) for key in held],
        "stored paraphrases": [(form, rows[key].answer) for key in held for form in rows[key].forms],
        "wordings not stored": list(unseen),
        "neighbours, in all wordings": [(one, None) for one in of(others, all_of)],
        "the same words otherwise": [(one.format(person), None) for person in people for one in OTHERS],
        "names that are nearly held": [(RELATIONS[r][0].format(name), None) for name in near for r in RELATIONS],
    }


def _told(name: str, asked: list[Asked], lookup: Lookup) -> None:
    if not asked:
        return
    begun = time.perf_counter()
    found = answer_questions(lookup, [(question, ()) for question, _ in asked])
    seconds = time.perf_counter() - begun
    said = [one.answer is not None for one in found]
    wrong = sum(one.answer not in (None, right) for one, (_, right) in zip(found, asked, strict=True))
    shares = f"answered {sum(said) / len(asked):.4f}, wrongly {wrong / len(asked):.4f}"
    print(f"{name:30} {len(asked):6,}  {shares}  {1000 * seconds / len(asked):.2f} ms each", flush=True)


if __name__ == "__main__":
    main()
