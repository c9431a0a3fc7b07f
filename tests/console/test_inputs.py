"""What stands in the place of INPUT: any file as text, lists of inputs, the standard input.

Covers: --format, --from-list and "-", through `build`. Does not cover: formats (tests/pipelines).
"""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from console.app import main

WORDS = ["--tokenizer", "bytes", "--address", "none", "--json"]
TEXT = "some words of a text, which are read as they are\n" * 3


def digest(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    out = f"{len(list(Path().glob('*.memo')))}.memo"
    assert main(["build", *words, "--out", out, *WORDS]) == 0, capsys.readouterr().err
    built: str = json.loads(capsys.readouterr().out)["digest"]
    return built


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["build", *words, "--out", "none.memo", *WORDS]) == 2
    assert not Path("none.memo").exists()
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def lines(documents: dict[str, str]) -> str:
    return "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in documents.items())


def test_any_file_is_read_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["c/Makefile", "c/a.csv", "c/b.rs", "c/copyright.gz", "c/e.html", "c/state.json"]
    Path("c").mkdir()
    for name in names:
        data = f"{name} {TEXT}".encode()
        Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    Path("truth.jsonl").write_text(lines({name: f"{name} {TEXT}" for name in names}))
    truth = digest(capsys, "truth.jsonl")
    assert digest(capsys, "c", "--format", "text") == digest(capsys, *names, "--format", "text") == truth


def test_a_file_of_another_ending_is_read_as_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("truth.jsonl").write_text(lines({"a": TEXT, "b": TEXT[5:]}))
    Path("rows.dat").write_text(lines({"a": TEXT, "b": TEXT[5:]}))
    assert digest(capsys, "rows.dat", "--format", "jsonl") == digest(capsys, "truth.jsonl")
    told = refused(capsys, "rows.dat", "--format", "docx")
    assert "--format is 'docx'; expected one of text, jsonl, parquet" in " ".join(told.split())


def test_inputs_are_read_from_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        Path(name).write_text(f"{name} {TEXT}")
    Path("list").write_text("b.txt\n\n  c.t*t \n")
    Path("list.gz").write_bytes(gzip.compress(b"b.txt\nc.txt"))
    truth = digest(capsys, "a.txt", "b.txt", "c.txt")
    assert digest(capsys, "a.txt", "--from-list", "list") == digest(capsys, "a.txt", "--from-list", "list.gz") == truth
    assert digest(capsys, "--from-list", "list.gz") == digest(capsys, "b.txt", "c.txt")
    Path("list").write_text("\n")
    assert "names nothing" in refused(capsys, "--from-list", "list")
    assert "cannot be read as lines of text" in refused(capsys, "--from-list", "absent")


def test_the_standard_input_is_a_document_or_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("truth.jsonl").write_text(lines({"-": TEXT}))
    Path("rows.jsonl").write_text(lines({"a": TEXT, "b": TEXT[5:]}))
    truth, rows = digest(capsys, "truth.jsonl"), digest(capsys, "rows.jsonl")
    give(monkeypatch, TEXT.encode())
    assert digest(capsys, "-") == truth
    give(monkeypatch, Path("rows.jsonl").read_bytes())
    assert digest(capsys, "-", "--format", "jsonl") == rows
    give(monkeypatch, b"")
    assert "the corpus is empty" in refused(capsys, "-")
    assert "can be read once" in refused(capsys, "-", "-")
    give(monkeypatch, TEXT.encode())
    assert main(["plan-build", "-", "--out", "none.memo", "--json"]) == 2
    assert "plan-build cannot read the standard input" in capsys.readouterr().err


def test_what_is_left_out_says_how_it_is_taken_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the plan, and after the build."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("the keeper of the light wrote down every ship that passed\n")
    (tmp_path / "texts" / "a.odd").write_text("and every storm\n")
    words = [str(tmp_path / "texts"), "--out", str(tmp_path / "m.memo"), "--tokenizer", "bytes", "--address", "none"]
    assert main(["build", *words]) == 0
    said = " ".join("".join(capsys.readouterr()).replace("│", " ").split())
    assert said.count("--format text reads them as text, too") == 2
