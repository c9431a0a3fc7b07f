"""reflect, build --reflections and ask by the command line, on a small world; what they refuse."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_service import over_http
from scripted_endpoint import Said, ScriptedEndpoint, scripted_endpoint

from console.app import main
from memo_dist.experiments.world import World
from memo_dist.http.limits import Limits
from memo_dist.reflections.building import build_reflections

WORLD = World(seed=2, people=4)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedEndpoint]:
    with scripted_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def folder(server: ScriptedEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, its reflections, and the memory of them."""
    place = tmp_path_factory.mktemp("world")
    rows = (json.dumps({"id": name, "text": text}) + "\n" for name, text in WORLD.documents())
    (place / "corpus.jsonl").write_text("".join(rows))
    words = ["reflect", str(place / "corpus.jsonl"), "--out", str(place / "r.jsonl"), "--endpoint", server.url]
    assert main([*words, "--concurrency", "4"]) == 0
    build_reflections(place / "r.jsonl", place / "m.memo", num_banks=4)
    return place


def test_documents_become_reflections_and_the_summary_says_how_many(
    folder: Path, server: ScriptedEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reflect", str(folder / "corpus.jsonl"), "--out", str(folder / "r.jsonl"), "--endpoint", server.url]
    asked = len(server.requests)
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["documents"] == 6
    assert told["failed"] == {}
    assert sum(told["reflections"].values()) == len((folder / "r.jsonl").read_text().splitlines())
    assert len(server.requests) == asked  # all of it was there
    ids = {json.loads(line)["docs"][0] for line in (folder / "r.jsonl").read_text().splitlines()}
    assert ids == {name for name, _ in WORLD.documents()}


def test_questions_are_answered_and_shown_with_what_was_asked(
    folder: Path, server: ScriptedEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    question = WORLD.questions(4)[4]
    capsys.readouterr()
    words = ["ask", str(folder / "m.memo"), "--endpoint", server.url, "--question", question.text]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [f"[1] {question.text}", question.answer]
    assert shown.err.count("(confidence 1.00)") == 2
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == 0
    assert told["results"][0]["answer"] == question.answer


def test_a_file_of_questions_has_a_transcript(
    folder: Path, server: ScriptedEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = WORLD.questions(3)
    rows = (json.dumps({"id": one.id, "question": one.text}) + "\n" for one in questions)
    (folder / "q.jsonl").write_text("".join(rows))
    out = folder / "t.jsonl"
    words = ["ask", str(folder / "m.memo"), "--endpoint", server.url, "--questions", str(folder / "q.jsonl")]
    assert main([*words, "--out", str(out), "--json"]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["result"]["answer"]) for row in found] == [(one.id, one.answer) for one in questions]
    assert found[0]["result"]["exchanges"][-1]["documents"] == list(questions[0].documents)
    before = out.read_bytes()
    server.requests.clear()
    assert main([*words, "--out", str(out)]) == 0
    assert (out.read_bytes(), server.requests) == (before, [])


def test_a_service_is_asked_as_the_memory_itself(
    folder: Path, server: ScriptedEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    question = WORLD.questions(4)[8]
    with over_http(folder / "m.memo", Limits(prompt_tokens=400)) as url:
        assert main(["ask", url, "--endpoint", server.url, "--question", question.text, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["answer"] == question.answer


def test_failures_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    no = Said("no", status=400)
    with scripted_endpoint(lambda request: no if request.stage == "final answer" else None) as server:
        words = ["ask", str(folder / "m.memo"), "--endpoint", server.url, "--question", "Who?"]
        assert main(words) == 0
    assert "failed: http://127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--endpoint", "http://127.0.0.1:9"], "no question was given; use --question TEXT or --questions FILE"),
        (["--question", "Who?"], "Missing option '--endpoint'"),
        (["--question", "x", "--endpoint", "u"], "the endpoint is 'u'; expected a URL such as http://"),
        (
            ["--question", "x", "--endpoint", "http://u", "--api-key-file", "none.txt"],
            "the key file none.txt cannot be read",
        ),
        (["--question", "Who?", "--endpoint", "http://127.0.0.1:9", "--trials", "1"], "http://127.0.0.1:9/v1/models"),
    ],
)
def test_what_is_missing_is_named(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(folder / "m.memo"), *words]) in (1, 2)
    assert said in capsys.readouterr().err


def test_a_memory_without_reflections_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import memo_dist

    memo_dist.build({"a": "It was the best of times, it was the worst of times"}, tmp_path / "m.memo", num_banks=2)
    words = ["ask", str(tmp_path / "m.memo"), "--question", "Who?", "--endpoint", "http://127.0.0.1:9"]
    assert main(words) == 2
    assert "this memory holds no reflections" in capsys.readouterr().err
