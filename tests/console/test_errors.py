"""Nothing that a user can cause ends in a traceback: faults of Python and the system come out as a message and a code.

Covers: the outermost place (console/faults.py) and what is explained where it is met. Does not cover: bad inputs and
settings by the row (test_cli_errors.py), errors that cross Ray (test_error_types.py).
"""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cluster.sorted_run
from cluster.merge_actor import MergeSpec
from cluster.merge_phase import MergePhase
from cluster.workspace import Workspace
from console.app import OUTPUT_CLOSED, main
from memo_dist import Memory, Tokenizer
from memo_dist.errors import CountOverflowError
from memo_dist.models.text.config import TextConfig

Refused = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a text and a memory; a build that gets as far as Ray fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the build went on and would have started Ray")

    monkeypatch.setattr("cluster.build.session", refuse)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text("hello world, this is a text\n" * 20)
    memory = Memory(TextConfig(num_banks=4, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    memory.memorize("fox", list(b"the quick brown fox jumps over the lazy dog"))
    memory.save(tmp_path / "m.memo")
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail without a traceback; returns its message."""

    def run(*words: str, code: int = 2) -> str:
        assert main([*words, "--json"]) == code
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert "unexpected" not in told.err
        answer = json.loads(told.out)
        assert answer["exit_code"] == code
        return str(answer["error"])

    return run


BUILD = ("build", "good.txt", "--out", "o.memo", "--tokenizer", "bytes")
LONG = "x" * 5000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("build", "good.txt", "--out", LONG), "File name too long"),
        (("build", LONG, "--out", "o.memo"), "File name too long"),
        (("inspect", LONG), "File name too long"),
        (("build", "good.txt/below.txt", "--out", "o.memo"), "good.txt/below.txt"),
        (("recall", "m.memo", "--prompts", "."), "cannot be read as prompts"),
        (("build", "good.txt", "--out", "o.memo", "--tokenizer", "."), "tokenizer"),
        (("plan", "--tokens", "5e9", "--rates", "."), "Is a directory"),
        ((*BUILD, "--config", "."), "Is a directory"),
        ((*BUILD, "--config", "a\0b"), "null byte"),
        (("forget", "m.memo", "--document", "a\udcff"), "'a\\udcff' is not UTF-8, from character 1 on"),
        (("serve", "m.memo", "--host", "a\udcff"), "is not UTF-8"),
    ],
)
def test_names_that_the_system_refuses_are_told(refused: Refused, words: tuple[str, ...], told: str) -> None:
    assert told in refused(*words)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("deep.yaml", "{a: " * 3000, (*BUILD, "--config", "deep.yaml")),
        ("tab.yaml", "limit:\t1\n\t- a", (*BUILD, "--config", "tab.yaml")),
        ("deep.jsonl", '{"text": ' + "[" * 100_000 + "\n", ("recall", "m.memo", "--prompts", "deep.jsonl")),
        ("deep.jsonl", '{"text": ' + "[" * 100_000 + "\n", ("build", "deep.jsonl", "--out", "o.memo")),
        ("deep.json", "[" * 100_000, ("plan", "--tokens", "5e9", "--rates", "deep.json")),
        ("deep.json", "[" * 100_000, (*BUILD[:-1], "deep.json")),
        ("deep.parquet", "PAR1junkPAR1", ("build", "deep.parquet", "--out", "o.memo")),
    ],
)
def test_files_that_cannot_be_parsed_are_named(
    place: Path, refused: Refused, name: str, text: str, words: tuple[str, ...]
) -> None:
    (place / name).write_text(text)
    assert name in refused(*words)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PermissionError(errno.EACCES, "", "secret.txt"), 2, "secret.txt: Permission denied"),
        (OSError(errno.ENOSPC, "", "m.memo/x"), 1, "m.memo/x: No space left on device; make room"),
        (OSError(errno.EMFILE, ""), 1, "Too many open files"),
        (OSError("the connection broke"), 2, "the connection broke"),
        (MemoryError(), 2, "smaller --memory-budget"),
        (CountOverflowError("an association was seen too often"), 1, "seen too often"),
    ],
)
def test_faults_from_anywhere_have_a_message_and_keep_their_notes(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, told: str
) -> None:
    error.add_note("Nothing was published.")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cluster.build.prepare", fail)
    message = refused(*BUILD, code=code)
    assert told in message
    assert message.endswith(". Nothing was published.")


def test_a_fault_of_this_program_keeps_its_traceback(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("cluster.build.prepare", fail)
    assert main([*BUILD, "--json"]) == 1
    told = capsys.readouterr()
    assert "Traceback" in told.err
    assert json.loads(told.out)["error"] == "unexpected ZeroDivisionError: a fault"


def test_ctrl_c_says_what_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        error = KeyboardInterrupt()
        error.add_note("The same command goes on from there.")
        raise error

    monkeypatch.setattr("cluster.build.prepare", interrupt)
    assert main(list(BUILD)) == 130
    assert capsys.readouterr().err == "memo-dist: interrupted. The same command goes on from there.\n"


def program(*words: str, stdout: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "console", *words]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("words", [("inspect", "m.memo", "--json"), ("inspect", "m.memo")], ids=["json", "table"])
def test_a_closed_output_ends_the_program_without_a_word(place: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with program(*words, stdout=writing) as process:
        os.close(writing)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (OUTPUT_CLOSED, "")


def test_a_full_output_is_told(place: Path) -> None:
    with open("/dev/full", "w") as full, program("inspect", "m.memo", "--json", stdout=full.fileno()) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "memo-dist: No space left on device; make room, or choose another place\n"


def test_characters_that_the_output_cannot_show_are_shown_by_number(place: Path) -> None:
    text = "größer als größer, und länger"
    memory = Memory(TextConfig(num_banks=6, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    memory.memorize("a", np.frombuffer(text.encode(), np.uint8))
    memory.save(place / "words.memo")
    words = ["recall", "words.memo", "--prompt", "größer als"]
    done = subprocess.run(
        [sys.executable, "-m", "console", *words],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout.decode("ascii").startswith("gr\\xf6\\xdfer als gr\\xf6\\xdfer, und l\\xe4nger")


@pytest.mark.usefixtures("ray_local")
def test_an_error_of_an_actor_is_told_by_the_program(
    text_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From an actor's process to the command line: a sorted run is damaged before it is merged."""
    phase = cluster.sorted_run.MergePhase

    def damaged(spec: MergeSpec, workspace: Workspace, **others: Any) -> MergePhase:
        for path in workspace.runs.glob("*/next-*.arrow"):
            path.write_bytes(path.read_bytes()[:-20])
        return phase(spec, workspace, **others)

    monkeypatch.setattr("cluster.sorted_run.MergePhase", damaged)
    words = ["build", str(text_corpus), "--out", str(tmp_path / "m.memo"), "--tokenizer", "bytes", "--shards", "1"]
    assert main([*words, "--json"]) == 2
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    answer = json.loads(told.out)
    assert "next-00000.arrow is no whole run of a build" in answer["error"]
    assert answer["exit_code"] == 2
    assert not (tmp_path / "m.memo").exists()
