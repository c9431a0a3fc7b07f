"""Forgetting for good: what is not there is told by the exit code, and a purge leaves nothing to go back to."""

import json
from pathlib import Path

import pytest

from console.app import main
from console.change import NOT_THERE
from memo_dist import MemoryOnDisk
from memo_dist import open as opened
from memo_dist.files.generations import PREVIOUS_FILE

TEXTS = {f"{name}.txt": f"{name}: " + " ".join(f"{name}{number}" for number in range(60)) for name in ("a", "b", "c")}


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "corpus" / name).write_text(text)
    build = ["build", "corpus", "--out", "m.memo", "--tokenizer", "bytes", "--banks", "4", "--shards", "1"]
    assert main([*build, "--address", "none", "--json"]) == 0
    capsys.readouterr()
    return tmp_path / "m.memo"


def forget(*words: str) -> int:
    return main(["forget", "m.memo", *words, "--address", "none", "--shards", "1"])


def held(memory: Path) -> set[str]:
    with opened(memory) as one:
        assert isinstance(one, MemoryOnDisk)
        return {name.rpartition("/")[2] for name in one.documents()["id"].to_pylist()}


def test_what_is_not_there_is_told_by_the_exit_code(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget("--document", "nowhere") == NOT_THERE
    assert forget("--document", "nowhere", "--missing", "ok") == 0
    assert forget("--document", "nowhere", "--missing", "perhaps") == 2
    (tmp_path / "corpus" / "a.txt").write_text("edited since")
    assert forget("corpus", "--json") == NOT_THERE
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["changed"], told["unchanged"], told["other_text"]) == (2, 1, 1)
    assert held(memory) == {"a.txt"}


def test_a_purge_leaves_nothing_to_go_back_to(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(memory) as one:
        before = one.digest
        (name,) = [name for name in one.documents()["id"].to_pylist() if name.endswith("a.txt")]
    assert forget("--document", name, "--purge", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    certificate = told["certificate"]
    with opened(memory) as one:
        one.verify()
        assert (certificate["digest_before"], certificate["digest_after"]) == (before, one.digest)
        listed = {file for file in certificate["removed"] if (memory / file).exists()}
    assert [one["id"] for one in certificate["documents"]] == [name]
    assert certificate["documents"][0]["tokens"] == len(TEXTS["a.txt"])
    assert certificate["removed"]
    assert not listed
    assert not (memory / PREVIOUS_FILE).exists()
    assert main(["undo", "m.memo"]) == 2
    assert held(memory) == {"b.txt", "c.txt"}


def test_a_purge_makes_a_forgetting_before_final(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert forget("corpus/b.txt") == 0
    assert (memory / PREVIOUS_FILE).exists()
    assert forget("corpus/b.txt", "--purge", "--missing", "ok") == 0
    told = capsys.readouterr().out
    assert "taken out: corpus/b.txt" in told
    assert "no earlier generation is left" in " ".join(told.replace("│", " ").split())
    assert main(["undo", "m.memo"]) == 2
