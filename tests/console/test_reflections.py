"""Reflections by the command line: built, asked, merged, forgotten by document; equal by digest."""

import json
from pathlib import Path
from typing import Any

import pytest
from few_reflections import reflections

from console.app import main
from memo_dist.reflections.reflection import Reflection, read_reflections


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: Path, rows: list[Reflection]) -> str:
    path.write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")
    return str(path)


def built(folder: Path, name: str, rows: list[Reflection], *more: str) -> str:
    file = written(folder / f"{name}.jsonl", rows)
    assert main(["build", "--reflections", file, "--out", f"{name}.memo", *more]) == 0
    return f"{name}.memo"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def digest(capsys: pytest.CaptureFixture[str], memory: str) -> Any:
    return told(capsys, "inspect", memory)["digest"]


def test_a_memory_is_that_of_its_rows_whatever_their_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = reflections()
    old = Reflection(rows[0].id, "Who was it?", "An old answer", docs=("doc-9",))
    memory, other = built(folder, "a", [old, *rows]), built(folder, "b", rows[::-1])
    assert digest(capsys, memory) == digest(capsys, other)
    assert main(["verify", memory]) == 0
    assert told(capsys, "inspect", memory)["documents"] == len(rows)
    found = told(capsys, "answer", memory, "who's the mentor of Ada Finch", "--form", "Who mentored Ada Finch?")
    assert found["answer"] == rows[0].answer
    assert (found["documents"], found["reason"]) == (["doc-0"], "")
    assert main(["answer", memory, "Who was it?"]) == 0
    assert "I don't know" in capsys.readouterr().out


def test_merging_is_building_of_both(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = reflections()
    parts = built(folder, "a", rows[:6]), built(folder, "b", rows[6:])
    assert main(["merge", *parts, "--out", "m.memo", "--address", "none"]) == 0
    assert digest(capsys, "m.memo") == digest(capsys, built(folder, "whole", rows))


def test_forgetting_a_document_forgets_all_that_was_drawn_from_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = reflections()
    memory = built(folder, "a", rows, "--banks", "9")
    assert main(["forget", memory, "--document", "doc-2", "--address", "none"]) == 0
    rest = [row for row in rows if "doc-2" not in row.docs]
    assert len(rest) == len(rows) - 4  # one of them was drawn from another document, too
    assert digest(capsys, memory) == digest(capsys, built(folder, "rest", rest, "--banks", "9"))
    assert told(capsys, "answer", memory, "Which two were born in one town?")["answer"] is None
    assert main(["forget", memory, "--document", "doc-2", "--address", "none"]) == 3
    assert main(["undo", memory]) == 0
    assert told(capsys, "answer", memory, "Which two were born in one town?")["answer"] == "Ada and Cora"


def test_texts_are_not_added_to_reflections(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory = built(folder, "a", reflections()[:2])
    (folder / "text.txt").write_text("a text")
    assert main(["add", memory, "text.txt", "--address", "none"]) == 2
    assert "memo-dist merge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no JSON"),
        ("[1]", "line 2 is '[1]'"),
        ('{"id": "1", "question": "Who?"}', "line 2 has no 'answer'"),
        ('{"id": 1, "question": "Who?", "answer": "He"}', "line 2: 'id' is '1'"),
        ('{"id": "1", "question": "Who?", "answer": "He", "docs": "d"}', "line 2: 'docs' is 'd'"),
        ('{"id": "1", "question": "Who?", "answer": "He", "forms": [5]}', "line 2: 'forms[0]' is '5'"),
        ('{"id": "1", "question": "\\ud800", "answer": "He"}', "line 2: 'question' is not text"),
        ('{"id": "1", "question": "Who?", "answer": "\xff"}', "line 2 is no JSON"),
    ],
)
def test_a_bad_row_is_named(folder: Path, capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    (folder / "bad.jsonl").write_bytes(reflections()[0].to_json().encode() + b"\n" + line.encode("latin-1") + b"\n")
    assert main(["build", "--reflections", "bad.jsonl", "--out", "m.memo"]) == 2
    assert said in capsys.readouterr().err.replace("bad.jsonl, ", "")
    assert not Path("m.memo").exists()


def test_rows_come_back_as_they_were_written(folder: Path) -> None:
    rows = reflections()
    assert list(read_reflections(written(folder / "rows.jsonl", rows))) == rows
