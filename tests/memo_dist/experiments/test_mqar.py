"""MQAR: examples against the published definition, what each control answers, the command that goes on after a stop.

Covers: memo_dist/experiments/mqar.py, mqar_report.py, console/reproduce_mqar.py. Truth: plain loops over the tokens,
chances worked out by hand, an undisturbed run.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.app import main
from memo_dist.experiments.mqar import LESSONS, MqarRow, MqarRun, mqar_example, run_mqar
from memo_dist.experiments.mqar_report import mqar_table
from memo_dist.experiments.published import published_mqar
from memo_dist.experiments.rows import RowFile

WORDS = ["--pairs", "4,9", "--dims", "64", "--queries", "8"]


@pytest.mark.parametrize(("pairs", "length"), [(4, 64), (16, 64), (64, 512)])
def test_examples_are_as_published(pairs: int, length: int) -> None:
    gaps = []
    for seed in range(50):
        example = mqar_example(pairs, length, np.random.default_rng(seed))
        tokens = example.tokens.tolist()
        bound = dict(zip(tokens[: 2 * pairs : 2], tokens[1 : 2 * pairs : 2], strict=True))
        assert len(tokens) == length
        assert len(bound) == len(set(bound.values())) == pairs
        assert all(0 < key < 4096 <= value < 8192 for key, value in bound.items())
        places = example.places.tolist()
        assert sorted(tokens[place] for place in places) == sorted(bound)
        assert all(place >= 2 * pairs and place % 2 == 0 for place in places)
        assert places == sorted(places)
        for place, pair in zip(places, example.asked, strict=True):
            assert bound[tokens[place]] == example.values[pair]
        gaps += [(place - 2 * pairs) // 2 for place in places]
    if length > 4 * pairs:  # queries crowd behind the pairs
        room = (length - 2 * pairs) // 2
        assert np.mean(np.array(gaps) < room // 2) > 0.6


def accuracy(lesson: str, pairs: int = 64, dim: int = 128, queries: int = 300) -> float:
    return run_mqar(MqarRun(lesson, pairs, dim, queries, 0)).accuracy


@pytest.mark.slow
def test_every_control_answers_what_it_must() -> None:
    assert accuracy("pairs") == accuracy("every token") == accuracy("two parts") == accuracy("rebound, replaced") == 1
    assert accuracy("default windows") < 0.05
    assert accuracy("rebound") == pytest.approx(0.5, abs=0.1)  # two values of a key, neither louder
    assert accuracy("two parts, one seen") == pytest.approx(1 / 8, abs=0.08)  # eight keys end alike


def test_a_full_bank_answers_as_the_law_says() -> None:
    row = run_mqar(MqarRun("pairs", 160, 64, 800, 0))
    assert (row.length, row.cells, row.associations, row.load) == (640, 4096, 160, 160 / 4096)
    assert 0.6 < row.accuracy < 0.95
    assert row.accuracy == pytest.approx(row.predicted, abs=0.06)
    assert math.isnan(run_mqar(MqarRun("rebound", 4, 64, 4, 0)).predicted)


def test_rows_follow_from_the_run_and_its_seed() -> None:
    run = MqarRun("pairs", 256, 64, 256, 3)
    row = run_mqar(run)
    assert run.made(row)
    assert replace(run_mqar(run), seconds=row.seconds) == row
    assert run_mqar(replace(run, seed=4)).accuracy != row.accuracy
    assert not replace(run, queries=9).made(row)


def row_of(**values: Any) -> MqarRow:
    base = MqarRow("pairs", 64, 128, 10, 0, 256, 16_384, 64.0, 0.004, 64, 0.9, 0.8, 1.0)
    return replace(base, **values)


def test_a_table_has_means_and_the_best_published_figure_of_the_same_size() -> None:
    rows = [row_of(), row_of(seed=1, accuracy=0.7), row_of(lesson="rebound", predicted=math.nan), row_of(pairs=5)]
    five, sixty_four, rebound = mqar_table(rows)
    assert (sixty_four["accuracy"], sixty_four["seeds"], sixty_four["scored"]) == (pytest.approx(0.8), 2, 128)
    assert sixty_four["accuracy_sd"] == pytest.approx(math.sqrt(0.02))
    assert (sixty_four["published_best"], sixty_four["published_model"]) == (0.03, "Hyena")
    assert (five["published_best"], five["published_model"], five["accuracy_sd"]) == (None, "", None)
    assert (rebound["predicted"], rebound["published_best"]) == (None, None)


def test_published_figures_are_shares() -> None:
    lines = published_mqar()
    assert len([line for line in lines if str(line["figure"]) == "2"]) == 64
    assert all(0 < line["accuracy"] <= 1 for line in lines)
    assert {line["model"] for line in lines if line["state"] > 1e6} == {"Hyena", "H3"}


def reproduce(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["reproduce", "mqar", *words, "--json"]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = reproduce(capsys, "--out", str(tmp_path / "whole"), *WORDS)
    assert len(whole["rows"]) == 2 * len(LESSONS)
    parts = tmp_path / "parts"
    parts.mkdir()
    kept = (tmp_path / "whole" / "mqar-runs.csv").read_bytes()
    (parts / "mqar-runs.csv").write_bytes(kept[: len(kept) // 2])  # as if it was killed within a row
    assert reproduce(capsys, "--out", str(parts), *WORDS)["rows"] == whole["rows"]
    assert (parts / "mqar.csv").read_bytes() == (tmp_path / "whole" / "mqar.csv").read_bytes()
    assert {path.suffix for path in parts.iterdir()} == {".csv", ".parquet", ".png", ".svg"}
    assert main(["reproduce", "mqar", "--out", str(parts), *WORDS, "--no-controls"]) == 0
    assert "answered by their value" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--pairs 3", "--pairs is '3'; expected whole numbers from 4"),
        ("--pairs 4,1025", "--pairs is '4,1025'; expected whole numbers from 4 to 1024"),
        ("--dims 100", "inner_dim is 100; expected a multiple of 64"),
        ("--queries 0", "--queries"),
    ],
)
def test_a_bad_option_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    answer = reproduce(capsys, "--out", str(tmp_path / "out"), *words.split(), code=2)
    assert said in answer["error"]
    assert not (tmp_path / "out").exists()


def test_rows_of_other_queries_are_not_mixed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RowFile(tmp_path / "mqar-runs.csv", MqarRow).append(row_of())
    answer = reproduce(capsys, "--out", str(tmp_path), *WORDS, code=2)
    assert "measured with queries 10, not 8" in answer["error"]
