"""What --errors skip leaves out is listed beside the memory, with its place and the reason."""

import json
from pathlib import Path

import pytest
from object_store import ObjectStore

from console.app import main
from memo_dist.files.opened import open_memory

GOOD = ['{"text": "a first text of some words"}', '{"text": "a second text, which has others"}']


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good row and a bad one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(f"{GOOD[0]}\nno JSON\n")
    return Path("rows.jsonl")


def listed(path: Path) -> list[str]:
    return [json.loads(line)["place"] for line in path.read_text().splitlines()]


def test_rows_and_files_left_out_are_listed_beside_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c").mkdir()
    Path("c/rows.jsonl").write_text("\n".join([GOOD[0], "no JSON", GOOD[1], '{"words": 1}', ""]))
    Path("c/broken.txt").write_bytes(b"text that \xff is not UTF-8")
    words = ["--tokenizer", "bytes", "--address", "none", "--errors", "skip", "--json"]
    assert main(["build", "c", "--out", "m.memo", *words]) == 0
    built = json.loads(capsys.readouterr().out)
    assert (built["documents"], built["skipped"], built["rejects"]) == (2, 3, "m.rejects.jsonl")
    second = len(GOOD[0]) + 1
    places = ["c/broken.txt", f"c/rows.jsonl@{second}", f"c/rows.jsonl@{second + 8 + len(GOOD[1]) + 1}"]
    assert listed(Path("m.rejects.jsonl")) == places
    Path("more.jsonl").write_text(f'{{"text": "a third one"}}\nnone\n{GOOD[0]}\n')
    assert main(["add", "m.memo", "more.jsonl", "--address", "none", "--errors", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rejects"] == "m.rejects.jsonl"
    assert listed(Path("m.rejects.jsonl")) == ["more.jsonl@24"]
    Path("fine.txt").write_text("a text without fault")
    assert main(["add", "m.memo", "fine.txt", "--address", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rejects"] is None
    with open_memory(Path("m.memo")) as opened:
        opened.verify()


def test_an_array_lists_what_its_tasks_have_left_out(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--tokenizer", "bytes", "--shards", "1", "--errors", "skip", "--json"]
    assert main(["plan-build", str(corpus), "--out", "m.memo", *words]) == 0
    for step in ("make-runs", "merge-runs"):
        assert main([step, "m.memo", "--task", "0", "--of", "1"]) == 0
    capsys.readouterr()
    assert main(["finish", "m.memo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rejects"] == "m.rejects.jsonl"
    assert listed(Path("m.rejects.jsonl")) == [f"{corpus}@{len(GOOD[0]) + 1}"]


@pytest.mark.slow
def test_a_memory_in_a_store_has_its_list_where_the_command_was_given(
    corpus: Path, bucket: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--tokenizer", "bytes", "--address", "none", "--errors", "skip", "--json"]
    assert main(["build", str(corpus), "--out", f"{bucket.url}/rejects/m.memo", *words]) == 0
    assert json.loads(capsys.readouterr().out)["rejects"] == "m.rejects.jsonl"
    assert listed(Path("m.rejects.jsonl")) == [f"{corpus}@{len(GOOD[0]) + 1}"]
