"""Many questions: a world's truth found over HTTP by a model of rules, transcripts, and what must not be found.

The memory is a dictionary of a world's reflections; the real one is asked in the slow test at the end.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dictionary_memory import DictionaryMemory
from scripted_endpoint import Request, Said, scripted_endpoint

import memo_dist
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.errors import EndpointError, InputError
from memo_dist.executive.asked_memory import AskedMemory
from memo_dist.executive.asking import Question, ask_all, read_questions
from memo_dist.executive.options import ExecutiveOptions
from memo_dist.experiments.world import World, WorldQuestion, is_right
from memo_dist.experiments.world_model import reply
from memo_dist.reflect.options import ReflectOptions
from memo_dist.reflect.reflecting import reflect
from memo_dist.reflections.building import build_reflections
from memo_dist.reflections.reflection import Reflection, read_reflections

WORLD = World(seed=5, people=20)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reflected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reflections of the world."""
    out = tmp_path_factory.mktemp("world") / "r.jsonl"
    with scripted_endpoint() as server:
        reflect(WORLD.documents(), out, endpoint=EndpointOptions(url=server.url))
    return out


@pytest.fixture(scope="module")
def reflections(reflected: Path) -> list[Reflection]:
    return list(read_reflections(reflected))


QUESTIONS = WORLD.questions(8)
ASKED = [Question(one.id, one.text) for one in QUESTIONS]


def ask(
    memory: AskedMemory, out: Path, *, rules: Any = reply, asked: list[Question] = ASKED, **options: Any
) -> list[dict[str, Any]]:
    with scripted_endpoint(rules=rules) as server:
        endpoint = EndpointOptions(url=server.url)
        return ask_all(asked, memory, out, endpoint=endpoint, options=ExecutiveOptions(**options))


def right(rows: list[dict[str, Any]], questions: list[WorldQuestion] = QUESTIONS) -> dict[int, float]:
    """The share of right answers by hops."""
    good, all_ = Counter[int](), Counter[int]()
    for row, question in zip(rows, questions, strict=True):
        all_[question.hops] += 1
        good[question.hops] += is_right(row["result"]["answer"], question.answer)
    return {hops: good[hops] / count for hops, count in all_.items()}


def test_one_two_and_three_hops_are_answered_with_as_many_calls_as_they_need(
    reflections: list[Reflection], tmp_path: Path
) -> None:
    calls = {}
    for question in (QUESTIONS[0], QUESTIONS[8], QUESTIONS[16]):
        with scripted_endpoint() as server:
            ask_all(
                [Question(question.id, question.text)],
                DictionaryMemory(reflections),
                tmp_path / f"{question.id}.jsonl",
                endpoint=EndpointOptions(url=server.url),
            )
            calls[question.hops] = server.stages()
    ground, entity, seek, final = "grounding", "entity identification", "answer seeking", "final answer"
    assert calls == {
        1: [ground, entity, seek, seek, final],
        2: [ground, entity, seek, seek, final],
        3: [ground, entity, entity, seek, seek, final],
    }
    assert right(ask(DictionaryMemory(reflections), tmp_path / "t.jsonl")) == {1: 1, 2: 1, 3: 1}


def test_an_empty_memory_and_an_executive_of_one_hop_and_no_entity_surfacing(
    reflections: list[Reflection], tmp_path: Path
) -> None:
    """The controls: what must fail does, and what it fails at is not known rather than wrong."""
    nothing = ask(DictionaryMemory(), tmp_path / "empty.jsonl")
    assert {row["result"]["answer"] for row in nothing} == {"I don't know"}
    whole = DictionaryMemory(reflections)
    one_hop = right(ask(whole, tmp_path / "one.jsonl", rules=no_grounding, entity_turns=1, answer_turns=1))
    assert one_hop == {1: 1, 2: 0, 3: 0}
    forward = DictionaryMemory(one for one in reflections if one.step != "entity_surfacing")
    rows = ask(forward, tmp_path / "forward.jsonl")
    for row, question in zip(rows, QUESTIONS, strict=True):
        assert row["result"]["answer"] == ("I don't know" if question.reverse else question.answer)
    assert {question.reverse for question in QUESTIONS} == {True, False}


def no_grounding(message: str) -> str:
    """The model of rules that takes no question apart: it asks for the whole of it, of the name that it gives."""
    if message.startswith("Stage: grounding"):
        return '{"grounding_questions": []}'
    return reply(message)


def test_shuffled_answers_are_right_by_chance_alone(reflections: list[Reflection], tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(len(reflections))
    shuffled = [replace(one, answer=reflections[int(i)].answer) for one, i in zip(reflections, order, strict=True)]
    assert sum(right(ask(DictionaryMemory(shuffled), tmp_path / "t.jsonl")).values()) <= 0.25


def test_an_unknown_name_and_a_neighbours_fact_are_not_known(reflections: list[Reflection], tmp_path: Path) -> None:
    held = next(one for one in reflections if one.question.startswith("What is the birthplace"))
    without = [one for one in reflections if held.docs[0] not in one.docs]
    asked = [Question("1", held.question), Question("2", "What is the birthplace of Nobody Atall?")]
    rows = ask(DictionaryMemory(without), tmp_path / "t.jsonl", asked=asked)
    assert [row["result"]["answer"] for row in rows] == ["I don't know"] * 2


def test_the_rest_of_a_chain_is_asked_from_multi_to_single(tmp_path: Path) -> None:
    memory = DictionaryMemory()
    asked = [Question("1", "What is the river of the birthplace of the mentor of the founder of Ashby Bells?")]
    ask(memory, tmp_path / "t.jsonl", asked=asked, dead_end_after=1)
    assert [question.count(" of ") for question, _ in memory.asked] == [1, 3, 2]  # the single one is a dead end


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from dictionary_memory import DictionaryMemory
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.executive.asking import Question, ask_all
from memo_dist.experiments.world import World
from memo_dist.reflections.reflection import read_reflections
asked = [Question(one.id, one.text) for one in World(seed=5, people=20).questions(8)]
memory = DictionaryMemory(read_reflections(sys.argv[2]))
ask_all(asked, memory, Path(sys.argv[3]), endpoint=EndpointOptions(url=sys.argv[1], concurrency=2))
"""


def test_killed_between_two_questions_and_run_again_the_transcript_is_the_same(reflected: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "t.jsonl", tmp_path / "whole.jsonl"
    memory = DictionaryMemory(read_reflections(reflected))
    ask(memory, whole)
    process: list[subprocess.Popen[bytes]] = []

    def kill(request: Request) -> Said | None:
        if (request.stage, request.number) == ("final answer", 9):
            os.kill(process[0].pid, signal.SIGKILL)
        return None

    with scripted_endpoint(kill) as server:
        command = [sys.executable, "-c", KILLED, server.url, str(reflected), str(out)]
        process.append(subprocess.Popen(command, cwd=ROOT))
        assert process[0].wait() == -signal.SIGKILL
        held = len(out.read_bytes().splitlines())
        assert 7 <= held <= 9
        server.script = lambda request: None
        server.requests.clear()
        ask_all(ASKED, memory, out, endpoint=EndpointOptions(url=server.url))
        assert Counter(server.stages())["grounding"] == len(ASKED) - held
    assert out.read_bytes() == whole.read_bytes()


def test_a_question_that_fails_is_tried_whole_and_its_error_superseded(
    reflections: list[Reflection], tmp_path: Path
) -> None:
    out, whole = tmp_path / "t.jsonl", tmp_path / "whole.jsonl"
    memory = DictionaryMemory(reflections)
    ask(memory, whole)
    spoilt = Said("what?")

    def spoil(request: Request) -> Said | None:
        return spoilt if request.stage == "final answer" and QUESTIONS[3].text in request.message else None

    with scripted_endpoint(spoil) as server:
        rows = ask_all(ASKED, memory, out, endpoint=EndpointOptions(url=server.url))
        assert [row["id"] for row in rows if "error" in row] == [QUESTIONS[3].id]
        assert sum(QUESTIONS[3].text in one.message for one in server.requests if one.stage == "grounding") == 3
        server.script = lambda request: None
        server.requests.clear()
        ask_all(ASKED, memory, out, endpoint=EndpointOptions(url=server.url))
        assert Counter(server.stages())["grounding"] == 1
    assert out.read_bytes() == whole.read_bytes()


def test_other_budgets_or_another_memory_ask_anew(reflections: list[Reflection], tmp_path: Path) -> None:
    out, asked = tmp_path / "t.jsonl", ASKED[:1]
    for options, name, calls in (({}, "a", 1), ({}, "a", 0), ({"entity_turns": 4}, "a", 1), ({}, "b", 1)):
        with scripted_endpoint() as server:
            endpoint, budgets = EndpointOptions(url=server.url), ExecutiveOptions(**options)
            ask_all(asked, DictionaryMemory(reflections), out, endpoint=endpoint, options=budgets, asked_of=name)
            assert Counter(server.stages())["grounding"] == calls


def test_a_memory_at_a_url_is_asked_in_all_forms_and_most_replies_win(tmp_path: Path) -> None:
    def said(message: str) -> str:
        if "third" in message:
            return "Sorry, I don't know that"
        return "Paris" if message != "second?" else "Rome"

    grounding = json.dumps(
        {"grounding_questions": [{"question": "first?", "paraphrases": ["second?", "third?", "fourth?"]}]}
    )

    def model(message: str) -> str:
        return grounding if message.startswith("Stage: grounding") else reply(message)

    with scripted_endpoint(rules=said) as memory, scripted_endpoint(rules=model) as server:
        at, endpoint = EndpointOptions(url=memory.url), EndpointOptions(url=server.url)
        rows = ask_all([Question("1", "Who?")], at, tmp_path / "t.jsonl", endpoint=endpoint)
        assert sorted(one.message for one in memory.requests) == ["first?", "fourth?", "second?", "third?"]
        exchange = rows[0]["result"]["exchanges"][0]
        assert (exchange["answer"], exchange["confidence"]) == ("Paris", 0.5)
        memory.script = lambda request: Said("no", status=400)
        rows = ask_all([Question("2", "Who?")], at, tmp_path / "t.jsonl", endpoint=endpoint)
        assert rows[0]["result"]["exchanges"][0]["reason"] == "the memory failed"
        memory.script = lambda request: Said("a" if request.message in ("first?", "second?") else "b")
        rows = ask_all([Question("3", "Who?")], at, tmp_path / "t.jsonl", endpoint=endpoint)
        assert rows[0]["result"]["exchanges"][0]["reason"] == "the forms of the question get different answers"


def test_a_language_model_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9"):
        ask_all(
            ASKED,
            DictionaryMemory(),
            tmp_path / "t.jsonl",
            endpoint=EndpointOptions(url="http://127.0.0.1:9", trials=1),
        )


def test_questions_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("Who?\n\n What? \n")
    assert list(read_questions(tmp_path / "q.txt")) == [Question("1", "Who?"), Question("3", "What?")]
    (tmp_path / "q.jsonl").write_text('{"question": "Who?", "id": 7}\n{"question": "What?"}\n')
    assert list(read_questions(tmp_path / "q.jsonl")) == [Question("7", "Who?"), Question("2", "What?")]
    for bad in ("x", "[]", '{"question": 3}', '{"question": "\\ud800"}'):
        (tmp_path / "q.jsonl").write_text(bad + "\n")
        with pytest.raises(InputError, match=r"q.jsonl line 1 is not an object with a text in 'question'"):
            list(read_questions(tmp_path / "q.jsonl"))
    with pytest.raises(InputError, match=r"none.txt cannot be read as questions"):
        list(read_questions(tmp_path / "none.txt"))


@pytest.mark.slow
def test_a_world_of_two_hundred_people_end_to_end(tmp_path: Path) -> None:
    """Documents -> reflections -> a memory of matrices -> answers; without entity surfacing reverse ones fail."""
    world = World(seed=7, people=200)
    questions = world.questions(60)
    asked = [Question(one.id, one.text) for one in questions]
    for skip in ((), ("entity_surfacing",)):
        name = "".join(skip) or "all"
        with scripted_endpoint() as server:
            endpoint, options = EndpointOptions(url=server.url), ReflectOptions(skip=skip)
            reflect(world.documents(), tmp_path / f"{name}.jsonl", endpoint=endpoint, options=options)
            build_reflections(tmp_path / f"{name}.jsonl", tmp_path / f"{name}.memo")
            with memo_dist.open(tmp_path / f"{name}.memo") as memory:
                rows = ask_all(asked, memory, tmp_path / f"{name}.asked.jsonl", endpoint=endpoint)
        if not skip:
            assert min(right(rows, questions).values()) >= 0.95
        else:
            for row, question in zip(rows, questions, strict=True):
                assert row["result"]["answer"] in ("I don't know", question.answer)
                assert not (question.reverse and row["result"]["answer"] == question.answer)
