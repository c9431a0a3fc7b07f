"""Episodes: events and questions, reads, scores, controls, going on after a stop.

Covers: memo_dist/experiments/episode_events.py, episodes.py, episodes_report.py, console/reproduce_episodes.py. Truth:
loops over the events, scores worked out by hand.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.app import main
from memo_dist.experiments.episode_events import (
    DATE,
    GROUPS,
    PARTS,
    VOCABULARY,
    Cue,
    Question,
    all_questions,
    cue_of,
    drawn_questions,
    invented_events,
    ordered_questions,
    with_date,
)
from memo_dist.experiments.episodes import (
    EpisodesRow,
    EpisodesRun,
    by_ledger,
    by_pursuit,
    chronological,
    event_memory,
    f1,
    run_episodes,
)
from memo_dist.experiments.episodes_report import episodes_table
from memo_dist.experiments.rows import RowFile

EVENTS = invented_events(60, np.random.default_rng(3))
QUESTIONS = all_questions(EVENTS)


def matching(cue: Cue) -> list[tuple[int, ...]]:
    """By brute force: events with every known part."""
    return [
        tuple(event)
        for event in EVENTS.tolist()
        if all(known in (0, part) for known, part in zip(cue[1:], event, strict=True))
    ]


def test_events_differ_and_their_values_are_of_their_parts() -> None:
    assert len({tuple(event) for event in EVENTS.tolist()}) == 60
    values = [set(column.tolist()) for column in EVENTS.T]
    assert not any(a & b for place, a in enumerate(values) for b in values[:place])
    assert min(map(min, values)) > len(PARTS)
    assert max(map(max, values)) < VOCABULARY
    commonest = [max(np.unique(column, return_counts=True)[1]) for column in EVENTS.T]
    assert min(commonest) > 60 / 12  # skewed: of 12 values some are commoner
    assert (invented_events(60, np.random.default_rng(3)) == EVENTS).all()
    large = invented_events(5200, np.random.default_rng(0))
    assert large.max() < VOCABULARY


def test_every_question_has_the_events_that_a_search_finds() -> None:
    for cue, question in QUESTIONS.items():
        assert sorted(question.events) == sorted(matching(cue))
        assert question.events
        assert question.values == {event[question.asked] for event in matching(cue)}
        assert cue[question.asked + 1] == 0
    ways = {(question.asked, tuple(part > 0 for part in cue[1:])) for cue, question in QUESTIONS.items()}
    assert len(ways) == 28
    assert cue_of((5, 6, 7, 8), (0, 3), 2) == (3, 5, 0, 0, 8)
    assert with_date((1, 0, 6, 0, 8), 5, 2) == (3, 5, 6, 0, 8)


def test_groups_are_by_events_that_match_and_wrong_cues_match_none() -> None:
    drawn = drawn_questions(EVENTS, QUESTIONS, each=30, draws=np.random.default_rng(1))
    bounds = {"none": (0, 0), "one": (1, 1), "two": (2, 2), "few": (3, 5), "many": (6, 999)}
    assert list(drawn) == list(GROUPS) == list(bounds)
    for group, questions in drawn.items():
        assert 10 < len(questions) <= 30
        assert len({question.cue for question in questions}) == len(questions)
        least, most = bounds[group]
        assert all(least <= len(matching(question.cue)) <= most for question in questions)
    for question in drawn["none"]:  # another event's cue but for one part
        asked, *parts = question.cue
        without = [(asked, *parts[:place], 0, *parts[place + 1 :]) for place, part in enumerate(parts) if part]
        assert any(matching(cue) for cue in without)


def test_ordered_questions_have_one_order_in_time() -> None:
    ordered = ordered_questions(QUESTIONS, 50, np.random.default_rng(1))
    assert len(ordered) > 10
    for question in ordered:
        found = sorted(matching(question.cue))
        assert list(question.events) == found
        assert len(found) > 1
        assert len({event[DATE] for event in found}) == len({event[question.asked] for event in found}) == len(found)


def test_ledger_and_pursuit_read_what_a_search_finds() -> None:
    memory = event_memory(QUESTIONS, 300, 0)
    assert memory.num_associations == sum(len(question.values) for question in QUESTIONS.values())
    cues = [*list(QUESTIONS)[::7], (1, 0, 0, 0, VOCABULARY - 1)]
    for read in (by_ledger, by_pursuit):
        for cue, told in zip(cues, read(memory, cues), strict=True):
            assert set(told) == {event[cue[0] - 1] for event in matching(cue)}


def test_scores_are_as_worked_out_by_hand() -> None:
    assert f1([], set()) == f1([1], {1}) == 1
    assert f1([1], set()) == f1([], {1}) == f1([2], {1}) == 0
    assert f1([1, 2, 3], {1, 4}) == pytest.approx(2 / 5)
    question = Question((2, 0, 0, 7, 0), ((11, 1, 7, 0), (12, 2, 7, 0), (13, 3, 7, 0)))
    told: dict[Cue, list[int]] = {(1, 0, 0, 7, 0): [13, 11, 12]}
    told |= {(2, 11, 0, 7, 0): [1], (2, 12, 0, 7, 0): [2], (2, 13, 0, 7, 0): [3]}
    assert chronological(lambda cues: [told[cue] for cue in cues], [question]) == (1, 1)
    mixed = told | {(2, 11, 0, 7, 0): [3], (2, 13, 0, 7, 0): [1]}
    assert chronological(lambda cues: [mixed[cue] for cue in cues], [question]) == (0, -1)
    missing = told | {(1, 0, 0, 7, 0): [12, 13]}  # the latest is right, but one is not told
    assert chronological(lambda cues: [missing[cue] for cue in cues], [question]) == (1, 0)


def test_a_run_answers_and_its_controls_fail() -> None:
    run = EpisodesRun(60, 300, 20, 0)
    row = run_episodes(run)
    assert run.made(row)
    assert (row.ledger_simple, row.ledger_chronological, row.pursuit_simple, row.pursuit_chronological) == (1, 1, 1, 1)
    assert row.best_simple < 0.9
    assert abs(row.unordered_tau) < 0.5
    assert row.shuffled < 0.5
    assert row.bank_load == row.associations / row.num_banks
    full = run_episodes(EpisodesRun(60, 9000, 20, 0))
    assert full.num_banks == 1
    assert full.ledger_simple == 1


def row_of(**values: Any) -> EpisodesRow:
    row = {one.name: 0 if one.type is int else 0.0 for one in fields(EpisodesRow)}
    return EpisodesRow(**row | {"events": 20, "load": 300, "each": 5} | values)  # type: ignore[arg-type]


def test_table_has_means_and_published_lines() -> None:
    table = episodes_table([row_of(pursuit_simple=1.0), row_of(seed=1, pursuit_simple=0.5)])
    ours, theirs = table[0], {line["system"]: line for line in table[1:]}
    assert (ours["pursuit_simple"], ours["seeds"], ours["events"]) == (0.75, 2, 20)
    assert (theirs["GPT-4o"]["simple"], theirs["GPT-4o"]["chronological"]) == (0.67, 0.204)
    assert (theirs["Gemini-2.5-Pro"]["simple"], theirs["GPT-5"]["chronological"]) == (0.968, 0.804)
    assert all(line.keys() == ours.keys() for line in table)


def test_command_measures_what_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RowFile(tmp_path / "episodes-runs.csv", EpisodesRow).append(row_of(ledger_simple=0.5))
    words = ["reproduce", "episodes", "--out", str(tmp_path), "--events", "20", "--loads", "300,600", "--json"]
    assert main([*words, "--each", "5"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept, measured = told["rows"][:2]
    assert (kept["ledger_simple"], measured["ledger_simple"]) == (0.5, 1)
    assert sorted(Path(file).suffix for file in told["files"]) == [".csv", ".parquet", ".png", ".svg"]
    assert main([*words, "--each", "6"]) == 2
    assert "measured with each 5, not 6" in json.loads(capsys.readouterr().out)["error"]
    assert main([*words[:4], "--events", "19"]) == 2
    assert "--events is '19'; expected whole numbers from 20" in capsys.readouterr().err
