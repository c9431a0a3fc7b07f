"""Stored questions are answered in whatever form was stored; their neighbours, and what nobody stored, are not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from few_reflections import PEOPLE, reflections

import memo_dist
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.askable import Askable
from memo_dist.errors import InputError
from memo_dist.files.published_writer import publish
from memo_dist.reflections.building import build_reflections
from memo_dist.reflections.layout import config_for, segments_of
from memo_dist.reflections.memorizing import batches_of
from memo_dist.reflections.reflection import Reflection


def made(rows: list[Reflection], num_banks: int = 12) -> Memory:
    memory = Memory(config_for(num_banks=num_banks), Tokenizer.bytes())
    for batch in batches_of(rows, Tokenizer.bytes().hash, "rows"):
        memory.memorize_batch(batch)
    return memory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answering")
    (folder / "r.jsonl").write_text("".join(row.to_json() + "\n" for row in reflections()), encoding="utf-8")
    build_reflections(folder / "r.jsonl", folder / "working", num_banks=12)
    publish(folder / "working", folder / "sums", 4)
    publish_solved(folder / "working", folder / "solved", PublishOptions(resources=Resources(address="none")))
    return folder


@pytest.fixture(scope="module", params=["working", "sums", "solved"])
def memory(request: pytest.FixtureRequest, folder: Path) -> Iterator[Askable]:
    with memo_dist.open(folder / request.param) as opened:
        yield opened


def test_every_stored_form_is_answered_verbatim_with_its_documents(memory: Askable) -> None:
    several = 4 if "as sums" in repr(memory) else 1  # these take a tenth of a second each
    for row in reflections()[::several]:
        for question in row.questions:
            found = memory.answer(question)
            assert (found.answer, found.documents, found.confidence) == (row.answer, row.docs, 1.0), found.reason
            assert (found.form or "").endswith(question)


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ("who is the mentor of ada finch", "but for case, punctuation and leading phrases"),
        ("Can you tell me who the mentor of Ada Finch is?", "but for stop words"),
        ("Who was a mentor of Ada Finch?", "but for stop words"),
        ("The mentor of Ada Finch is who?", "in another order"),
        ("Who mentors Ada Finch?", "but for endings and order"),
    ],
)
def test_what_a_form_leaves_out_does_not_matter(memory: Askable, asked: str, form: str) -> None:
    found = memory.answer(asked)
    assert found.answer == "mentor of number 0. "
    assert (found.form or "").partition(": ")[0] == form


@pytest.mark.parametrize(
    "asked",
    [
        "In which year was Ada Finch born?",
        "In which city was Bruno Keller born?",
        "Who is Ada Finch the mentor of?",
        "Who did Ada Finch mentor?",
        "Who was mentored by Ada Finch?",
        "Who is the mentor of the mentor of Ada Finch?",
        "Who is the mentor of Finch Ada?",
        "Who is the mentor's mentor of Ada Finch?",
        "Who is the mentor of Cora Robert?",
        "Who is not the mentor of Ada Finch?",
        "In which country was Ada Finch born?",
        "Who is the mentor of Zoe Quill?",
        "?",
        "",
    ],
)
def test_neighbours_and_the_unknown_are_not_answered(memory: Askable, asked: str) -> None:
    found = memory.answer(asked)
    assert (found.answer, found.form, found.text) == (None, None, "I don't know")
    assert "no form of this question is stored" in found.reason


def test_forms_vote(memory: Askable) -> None:
    asked = "Who taught Ada Finch?"
    assert memory.answer(asked).answer is None
    found = memory.answer(asked, forms=["Who is the mentor of Ada Finch?", "Who mentored Ada Finch?"])
    assert (found.answer, found.confidence) == ("mentor of number 0. ", pytest.approx(2 / 3))
    tie = memory.answer("Who is the mentor of Ada Finch?", forms=["Who is the mentor of Bruno Keller?"])
    assert tie.answer is None
    assert "2 different answers" in tie.reason


def test_two_answers_to_one_question_are_none() -> None:
    rows = [Reflection(str(i), "Who won?", said, docs=(f"d{i}",)) for i, said in enumerate(("He", "She", "He"))]
    assert made(rows[::2]).answer("who won").documents == ("d0", "d2")
    found = made(rows).answer("Who won?")
    assert found.answer is None
    assert "'He', 'She'" in found.reason
    assert found.documents == ("d0", "d1", "d2")


def test_more_reflections_of_one_question_than_are_looked_at_are_a_tie() -> None:
    rows = [Reflection(str(i), "Who won?", "He" if i else "She") for i in range(40)]
    found = made(rows).answer("Who won?")
    assert found.answer is None
    assert "are held for this question" in found.reason


def test_a_reflection_that_is_too_long_is_named() -> None:
    with pytest.raises(InputError, match="'long' has 70,"):
        made([Reflection("long", "Who?", "x" * 70_000)])
    long = Reflection("fits", "Who?", "x y" * 20_000)
    assert made([long], num_banks=80).answer("Who?").answer == long.answer


def test_a_row_that_is_read_otherwise_than_it_was_written_is_no_answer() -> None:
    memory = Memory(config_for(), Tokenizer.bytes())
    segments = segments_of(Reflection("1", "Who won?", "He"))
    name, piece = segments[1]
    segments[1] = name, replace(piece, tokens=np.where(piece.tokens == ord("H"), ord("W"), piece.tokens))
    memory.shard.memorize_segments(segments)
    assert memory.answer("Who won?").answer is None


def test_one_text_that_differs_by_a_sign_is_another() -> None:
    memory = made([Reflection("1", "What is C++?", "a language"), Reflection("2", "What is 3.5 + 1?", "4.5")])
    assert memory.answer("what is c++").answer == "a language"
    assert [memory.answer(one).answer for one in ("What is C#?", "What is C?", "What is 35 + 1?")] == [None] * 3


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Is Ada the teacher of Ben?", "Is Ben the teacher of Ada?"),
        ("What causes rain?", "What rain causes?"),
        ("Who is the teacher of the father of Ada Finch?", "Who is Ada Finch's teacher's father?"),
        ("Which painter taught the pilot Ada Finch?", "Which pilot taught the painter Ada Finch?"),
        ("Who is Ada Roberts?", "Who is Ada Robert?"),
    ],
)
def test_the_same_words_may_ask_something_else(stored: str, asked: str) -> None:
    memory = made([Reflection("1", stored, "an answer", entities=("Ada Finch",))], num_banks=2)
    assert memory.answer(stored).answer == "an answer"
    assert memory.answer(asked).answer is None


def test_a_memory_of_texts_says_that_it_holds_no_reflections() -> None:
    memory = Memory(TextConfig(num_banks=1, vocab_size=256), Tokenizer.bytes())
    memory.memorize("a", "Who won? He did.")
    assert "holds no reflections" in memory.answer("Who won?").reason


def test_what_is_no_text_is_refused() -> None:
    memory = made([Reflection("1", "Who won?", "He")])
    with pytest.raises(InputError, match="give \\[text\\]"):
        memory.answer("Who won?", forms="Who?")
    with pytest.raises(InputError, match="5"):
        memory.answer("Who won?", forms=[5])  # type: ignore[list-item]


def test_order_of_rows_does_not_matter_and_a_reflection_is_forgotten_exactly() -> None:
    rows = reflections()
    memory = made(rows)
    assert memory.digest() == made(rows[::-1]).digest()
    assert len(memory.documents()) == len(rows)
    (batch,) = batches_of(rows[3:5], Tokenizer.bytes().hash, "rows")
    memory.shard.forget_contents_of(batch)
    rest = made([*rows[:3], *rows[5:]])
    assert memory.digest() == rest.digest()
    other = made(rows[3:5])
    rest.merge(other)
    assert rest.digest() == made(rows).digest()
    assert PEOPLE[1] in rows[3].question
