"""Prompts of a person: from a file, from a pipe, several continuations; passages where there is no colour; the program.

Covers: what is printed, and where. Does not cover: which answers are found.
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.app import OUTPUT_CLOSED, main
from memo_dist import Memory, TextConfig, Tokenizer, __version__

ROOT = Path(__file__).parents[2]
TEXT = "the quick brown fox jumps over the lazy dog [x]; the quick brown hen jumps over the lazy cow, one two three"
QUICK, LAZY = "jumps over the lazy dog", "the quick brown hen jumps"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("asking") / "a[b].memo"
    made = Memory(TextConfig(num_banks=6, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("text", TEXT)
    made.save(path)
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_prompts_of_a_file_are_answered_one_by_one_with_their_ids(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": "a", "text": QUICK}, {"id": "short", "text": "no"}, {"id": "b", "text": LAZY}]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("recall", memory, "--prompts", tmp_path / "p.jsonl", "--max-tokens", 9) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"[a] {QUICK}│ [x]; the",
        "[short] no│",
        f"[b] {LAZY}│ over the",
    ]
    assert "nothing said: the prompt has 1 word or other character" in told.err
    assert run("recall", memory, "--prompts", tmp_path / "p.jsonl", "--max-tokens", 9, "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(one["id"], one["stop"]) for one in results] == [("a", "length"), ("short", "abstained"), ("b", "length")]
    assert results[1]["reason"]["code"] == "too_short"


def test_a_prompt_that_cannot_be_asked_is_refused_beside_others(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = {"id": "foreign", "tokens": [1, 2, 3, 999_999]}
    (tmp_path / "p.jsonl").write_text(f"{json.dumps(foreign)}\n{json.dumps({'id': 'b', 'text': LAZY})}\n")
    assert run("recall", memory, "--prompts", tmp_path / "p.jsonl", "--max-tokens", 9, "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(one["id"], one["stop"]) for one in results] == [("foreign", "refused"), ("b", "length")]
    assert "999999" in results[0]["error"]
    assert "error" not in results[1]
    (tmp_path / "p.jsonl").write_text(json.dumps(foreign))
    assert run("recall", memory, "--prompts", tmp_path / "p.jsonl") == 2
    assert "prompt foreign" in capsys.readouterr().err


@pytest.mark.parametrize("given", [f"{QUICK}\n\n{LAZY}\n", f'{{"id": 1, "text": "{QUICK}"}}\n{{"text": "{LAZY}"}}\n'])
def test_standard_input_holds_prompts(
    memory: Path, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert run("recall", memory, "--prompts", "-", "--max-tokens", 9, "--json") == 0
    assert [one["prompt"] for one in json.loads(capsys.readouterr().out)["results"]] == [QUICK, LAZY]
    assert run("recall", memory, "--prompts", "-", "--out", "answers.parquet") == 2


def test_several_continuations_of_a_prompt(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("recall", memory, "--prompt", "jumps over the lazy", "--n", 2, "--max-tokens", 4)
    assert run(*words, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]
    assert {found["text"], *(one["text"] for one in found["others"])} == {" dog", " cow"}
    assert run(*words) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["jumps over the lazy cow", "jumps over the lazy dog"]
    assert run("recall", memory, "--prompts", "p.jsonl", "--n", 2, "--out", "answers.parquet") == 2


def test_silence_has_no_table_of_steps(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = "nothing of this was ever memorized"
    assert run("recall", memory, "--prompt", unknown, "--top-k", 3) == 0
    assert capsys.readouterr().out == f"{unknown}\n"


def test_passages_are_listed_where_there_is_no_colour(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.txt").write_text(f"He said, {TEXT[:80]} and left.")
    assert run("trace", memory, "--text", tmp_path / "page.txt", "--least", 10) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("9-8")
    assert "'the quick brown fox ... " in line
    assert line.endswith("held, in text")


def test_line_ends_of_a_text_are_a_part_of_it(memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = f"A line.\r\nHe said, {TEXT[:80]} and left.\r\n"
    (tmp_path / "page.txt").write_bytes(lines.encode())
    assert run("trace", memory, "--text", tmp_path / "page.txt", "--least", 10, "--json") == 0
    traced = json.loads(capsys.readouterr().out)
    assert traced["tokens"][-1]["stop"] == len(lines)
    assert traced["spans"]
    assert all(span["text"] == lines[span["start"] : span["stop"]] for span in traced["spans"])
    assert run("where", memory, "--file", tmp_path / "page.txt", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert any(TEXT[20:60] in piece["text"] for piece in found["pieces"])


def test_square_brackets_are_shown(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", memory) == 0
    told = capsys.readouterr().out
    assert "a[b].memo" in told.replace("\n", "")
    assert "4 words and other characters and more are answered" in " ".join(told.replace("│", " ").split())


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"memo-dist {__version__}\n"


def program(words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which $MD is the program."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MD": f"{sys.executable} -m console", **environment}
    return subprocess.run(["bash", "-c", words], env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_shells_complete_commands_and_flags() -> None:
    told = program("$MD", _MEMO_DIST_COMPLETE="complete_bash", COMP_WORDS="memo-dist re", COMP_CWORD="1")
    assert sorted(told.stdout.split()) == ["rebank", "recall", "reflect", "replace", "reproduce"]
    assert "_MEMO_DIST_COMPLETE" in program("$MD --show-completion bash").stdout


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_interruption(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"{QUICK}\n" * 3000)
    told = program(f"$MD recall '{memory}' --prompts {tmp_path}/p.txt | head -1; exit ${{PIPESTATUS[0]}}")
    assert (told.returncode, len(told.stdout.splitlines())) == (OUTPUT_CLOSED, 1)
    assert "interrupted" not in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.slow
def test_streams_that_are_closed_are_done_without(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text(TEXT)
    line = f"cd {tmp_path} && $MD build page.txt --tokenizer bytes --out m.memo --address none --json > out 2>&- <&-"
    assert program(line).returncode == 0
    assert json.loads((tmp_path / "out").read_text())["tokens"] == len(TEXT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "address"), [("pipelines/__init__.py", "none"), ("numpy.py", "local"), ("memo_dist.py", "none")]
)
def test_what_lies_where_the_program_is_run_is_not_imported(tmp_path: Path, name: str, address: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("open('EXECUTED', 'w').close()\nraise RuntimeError('the corpus was imported')\n")
    (tmp_path / "page.txt").write_text(TEXT * 30)
    told = program(f"cd {tmp_path} && $MD build page.txt --tokenizer bytes --out m.memo --shards 1 --address {address}")
    assert told.returncode == 0, told.stderr
    assert not (tmp_path / "EXECUTED").exists()
