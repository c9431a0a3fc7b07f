"""The world: what a seed names stays, its documents say its facts, its questions follow from them."""

import pytest

from memo_dist.experiments.world import World, chain_of, chain_text, is_right
from memo_dist.experiments.world_relations import PRONOUNS


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=7, people=40)


def test_a_seed_names_everything(world: World) -> None:
    again, other = World(seed=7, people=40), World(seed=8, people=40)
    assert list(again.documents()) == list(world.documents())
    assert again.questions(20) == world.questions(20)
    assert other.facts != world.facts


def test_documents_say_each_fact_in_five_to_ten_sentences(world: World) -> None:
    documents = dict(world.documents())
    assert len(documents) == 48
    for text in documents.values():
        assert 5 <= text.count(". ") + 1 <= 10
    for fact in world.facts:
        text = documents[fact.document]
        assert fact.object in text
        assert fact.relation in PRONOUNS or fact.subject in text


def test_everybody_has_one_mentor_and_one_pupil_and_every_company_one_founder(world: World) -> None:
    for relation in ("pupil", "company"):
        pairs = [(fact.subject, fact.object) for fact in world.facts if fact.relation == relation]
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 40
        assert all(a != b for a, b in pairs)


def test_answers_follow_from_the_facts_of_the_documents_that_are_named(world: World) -> None:
    steps = world.steps()
    for question in world.questions(20):
        told = chain_of(question.text)
        assert told is not None
        subject, chain = told
        documents = []
        for noun in chain:
            fact = steps[subject, noun]
            subject = fact.object
            documents.append(fact.document)
        assert (subject, tuple(documents), len(chain)) == (question.answer, question.documents, question.hops)
        assert question.reverse == bool({"mentor", "founder"} & set(chain))


def test_questions_differ_and_are_as_many_as_asked_for(world: World) -> None:
    found = world.questions(20)
    assert [question.hops for question in found] == [1] * 20 + [2] * 20 + [3] * 20
    assert len({question.text for question in found}) == 60
    with pytest.raises(ValueError, match="questions of 1 hops were asked for; this world has"):
        world.questions(10_000)


def test_a_chain_is_read_as_it_is_written() -> None:
    text = chain_text("Ada Ashby", ("mentor", "year of birth"))
    assert text == "What is the year of birth of the mentor of Ada Ashby?"
    assert chain_of(text) == ("Ada Ashby", ("mentor", "year of birth"))
    assert chain_of("Where was Ada Ashby born?") is None


def test_what_counts_as_right() -> None:
    assert is_right("The Port Ashby.", "port ashby")
    assert not is_right("Port Ashby or Port Birchby", "Port Ashby")
    assert not is_right("", "Port Ashby")
