"""A pass key in a haystack: generator, answers, controls, going on after a stop.

Covers: memo_dist/experiments/needle.py, needle_report.py, prose.py, console/reproduce_needle.py. Truth: a search of the
text with regular expressions; figures worked out by hand.
"""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.app import main
from memo_dist import Memory, TextConfig
from memo_dist.errors import InputError
from memo_dist.experiments.needle import (
    PROMPT,
    WHOLE_QUESTION,
    Haystacks,
    NeedleRow,
    NeedleRun,
    answer,
    run_needle,
    told,
    with_needles,
)
from memo_dist.experiments.needle_report import needle_table
from memo_dist.experiments.prose import name_of, paragraphs
from memo_dist.experiments.rows import RowFile


def invented(count: int) -> list[str]:
    """Paragraphs of words that are drawn; no two alike."""
    draws = np.random.default_rng(7)
    words = [f"{a}{b}{c}" for a in ("ba", "ko", "ti", "ru") for b in ("len", "sor", "vam") for c in ("", "a", "os")]
    return [
        " ".join(draws.choice(words, 20)).capitalize() + ". " + " ".join(draws.choice(words, 9)) + "."
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def haystacks() -> Haystacks:
    return Haystacks(invented(300))


def test_keys_are_told_once_behind_full_stops_and_all_else_stays(haystacks: Haystacks) -> None:
    depths = []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        filler = haystacks.filler("prose", 800, draws)
        text = with_needles(filler, [123, 45678], draws)
        assert sorted(map(int, re.findall(r"\. The pass key is (\d+)\. Remember it\. \1 is the pass key\.", text))) == [
            123,
            45678,
        ]
        assert len(re.findall("pass key is", text)) == 2
        assert text.replace(told(123), "").replace(told(45678), "") == filler
        depths.append(text.index(told(123)) / len(text))
    assert min(depths) < 0.2 < 0.8 < max(depths)
    with pytest.raises(InputError, match="1 ends of sentences; expected one for each of 2"):
        with_needles("One. two", [1, 2], np.random.default_rng(0))


def test_fillers_have_the_tokens_asked_for(haystacks: Haystacks) -> None:
    for kind in ("prose", "repeated"):
        one, again, other = (haystacks.filler(kind, 900, np.random.default_rng(seed)) for seed in (1, 1, 2))
        (ids,) = haystacks.tokenizer.encode([one])
        assert abs(len(ids) - 900) < 120
        assert one == again
        assert (one == other) == (kind == "repeated")
    with pytest.raises(InputError, match="tokens, not 10,000,000"):
        haystacks.filler("prose", 10_000_000, np.random.default_rng(0))


def test_answers_are_what_the_text_says(haystacks: Haystacks) -> None:
    tokenizer = haystacks.tokenizer
    for seed in range(5):
        draws = np.random.default_rng(seed)
        memory = Memory(TextConfig(num_banks=4, vocab_size=tokenizer.vocab_size), tokenizer)
        text = with_needles(haystacks.filler("prose", 600, draws), [int(draws.integers(1, 50_001))], draws)
        memory.memorize("one", text)
        (key,) = re.findall(r"The pass key is (\d+)", text)
        assert answer(memory, PROMPT) == answer(memory, PROMPT, read="matrices") == key
        assert answer(memory, WHOLE_QUESTION) == ""
        assert answer(memory, "The pass word is") == ""


def test_a_run_measures_its_texts_and_controls(haystacks: Haystacks) -> None:
    run = NeedleRun("prose", 600, 4, 2, "invented", 0)
    row = run_needle(run, haystacks)
    assert run.made(row)
    assert (row.ledger_right, row.matrices_right, row.first) == (1, 1, 1)
    assert (row.ledger_wrong, row.matrices_wrong, row.absent_ledger, row.absent_matrices) == (0, 0, 0, 0)
    assert row.whole_question == row.two_ledger_either == 0
    assert row.two_matrices == row.two_matrices_either
    assert row.cells == 4 * 65_536
    assert row.load == row.associations / row.cells
    assert 0.99 < row.predicted <= 1


def test_an_overfull_memory_is_silent_but_for_its_ledger(haystacks: Haystacks) -> None:
    row = run_needle(NeedleRun("prose", 9000, 1, 2, "invented", 0), haystacks)
    assert row.load > 0.1
    assert (row.ledger_right, row.matrices_right, row.matrices_wrong) == (1, 0, 0)
    assert row.predicted < 0.9
    same = run_needle(NeedleRun("repeated", 9000, 1, 2, "invented", 0), haystacks)  # the same over and over is no load
    assert (same.ledger_right, same.matrices_right) == (1, 1)
    assert same.associations < row.associations / 20


def row_of(**values: Any) -> NeedleRow:
    settings = {"filler": "prose", "length": 100, "num_banks": 4, "trials": 2, "text": "prose of Python", "seed": 0}
    rest = {one.name: 0.0 for one in fields(NeedleRow) if one.name not in settings}
    return NeedleRow(**settings | rest | {"cells": 262_144} | values)  # type: ignore[arg-type]


def test_table_has_means_and_published_lines() -> None:
    table = needle_table([row_of(ledger_right=1.0), row_of(seed=1, ledger_right=0.5)])
    ours, theirs = table[0], table[1:]
    assert (ours["ledger_right"], ours["seeds"], ours["length"]) == (0.75, 2, 100)
    armt = {line["length"]: line["accuracy"] for line in theirs if line["system"] == "ARMT fine-tuned"}
    assert armt == {131_072: 0.97, 10**6: 0.93, 10**7: 0.77}
    larimar = [line["accuracy"] for line in theirs if line["system"] == "Larimar-1.3B"]
    assert larimar == [0.89, 0.88, 0.88, 0.86]
    assert all(line.keys() == ours.keys() for line in table)


def test_prose_of_python_is_different_paragraphs_in_order(tmp_path: Path) -> None:
    some = paragraphs(None, characters=1)
    assert len(set(some)) == len(some) > 1000
    assert paragraphs(None, characters=1) == some
    file = tmp_path / "a.txt"
    file.write_text("one\n\n two \n\n\n\none\n\nthree")
    assert (paragraphs(file), name_of(file)) == (["one", "two", "three"], "a.txt")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        paragraphs(tmp_path / "absent")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "invented.txt"
    path.write_text("\n\n".join(invented(60)))
    return path


def reproduce(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["reproduce", "needle", *words, "--trials", "1", "--banks", "4", "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_stopped_run_goes_on_to_the_same_table(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--text", str(text), "--lengths", "200,400"]
    whole = reproduce(capsys, "--out", str(tmp_path / "whole"), *words)
    assert [(line["filler"], line["length"]) for line in whole["rows"][:3]] == [
        ("prose", 200),
        ("prose", 400),
        ("repeated", 400),
    ]
    parts = tmp_path / "parts"
    parts.mkdir()
    kept = (tmp_path / "whole" / "needle-runs.csv").read_bytes()
    (parts / "needle-runs.csv").write_bytes(kept[: kept.index(b"\n", len(kept) // 2) - 5])
    again = reproduce(capsys, "--out", str(parts), *words)
    for line in [*whole["rows"], *again["rows"]]:
        line.pop("seconds")
    assert again["rows"] == whole["rows"]
    assert {path.suffix for path in parts.iterdir()} == {".csv", ".parquet", ".png", ".svg"}


def test_bad_options_are_named(tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path), "--text", str(text)]
    assert "and invented.txt has" in reproduce(capsys, *words, "--lengths", "9000000", code=2)["error"]
    RowFile(tmp_path / "needle-runs.csv", NeedleRow).append(row_of(trials=1))
    answered = reproduce(capsys, *words, "--lengths", "200", code=2)
    assert "measured with text prose of Python, not invented.txt" in answered["error"]
