"""Unlearning: scores, what a run measures, that damage is seen, going on after a stop.

Covers: memo_dist/experiments/unlearning.py, unlearning_scores.py, unlearning_report.py,
console/reproduce_unlearning.py. Truth: plain loops over texts, a memory built anew, SciPy.
"""

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.app import main
from memo_dist.errors import InputError
from memo_dist.experiments.rows import RowFile
from memo_dist.experiments.unlearning import (
    Corpus,
    UnlearningRow,
    UnlearningRun,
    documents_of,
    near_duplicate,
    run_unlearning,
)
from memo_dist.experiments.unlearning_report import unlearning_table
from memo_dist.experiments.unlearning_scores import auc, cells_scores, ledger_scores, privacy_leak, rouge_l, verbatim


def invented(count: int) -> list[str]:
    """Paragraphs of drawn words."""
    draws = np.random.default_rng(7)
    words = [f"{a}{b}{c}" for a in ("ba", "ko", "ti", "ru") for b in ("len", "sor", "vam") for c in ("", "a", "os")]
    return [" ".join(draws.choice(words, 130)).capitalize() + "." for _ in range(count)]


PARAGRAPHS = invented(14)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(documents_of(PARAGRAPHS, 14), 10)


def test_documents_are_consecutive_paragraphs() -> None:
    assert documents_of(["a" * 599, "b", "c" * 600, "d"], 2) == ["a" * 599 + "\n\nb", "c" * 600]
    with pytest.raises(InputError, match=r"makes 1 documents .* not 2"):
        documents_of(["c" * 600, "d"], 2)


def test_rouge_is_that_of_the_longest_common_subsequence() -> None:
    draws = np.random.default_rng(0)

    @cache
    def longest(a: tuple[int, ...], b: tuple[int, ...]) -> int:
        if not a or not b:
            return 0
        if a[-1] == b[-1]:
            return longest(a[:-1], b[:-1]) + 1
        return max(longest(a[:-1], b), longest(a, b[:-1]))

    for _ in range(30):
        a, b = (tuple(draws.integers(0, 4, draws.integers(1, 12)).tolist()) for _ in range(2))
        assert rouge_l(a, b) == 2 * longest(a, b) / (len(a) + len(b))
    assert (rouge_l([], []), rouge_l([], [1])) == (1, 0)


def test_auc_counts_pairs() -> None:
    draws = np.random.default_rng(0)
    a, b = draws.integers(0, 5, 9), draws.integers(1, 6, 7)
    pairs = [1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b]
    assert auc(a, b) == pytest.approx(np.mean(pairs))


def test_privacy_leak_has_the_sign_and_scale_of_muse() -> None:
    assert privacy_leak(1.0, 0.5) == -100  # all told apart, as the published target is: -99.8
    assert privacy_leak(0.523, 0.523) == 0
    assert privacy_leak(0.0, 0.5) == 100
    assert np.isnan(privacy_leak(0.5, 1.0))


def test_scores_tell_what_is_held(corpus: Corpus) -> None:
    memory = corpus.memory(corpus.texts[:10], 0)
    inside, outside = corpus.ids(corpus.texts[:10]), corpus.ids(corpus.texts[10:])
    assert verbatim(memory, inside) == 1
    assert verbatim(memory, outside) < 0.3
    for scores in (ledger_scores, cells_scores):
        assert scores(memory, inside).min() > scores(memory, outside).max()
    # by the ledger: a document's own windows are all counted with what follows, so many as are filled
    cues = memory.encoder.query([inside[0][:place] for place in range(1, len(inside[0]))])
    filled = np.sort(cues.filled.sum(axis=1)[cues.filled[:, 0]])
    assert ledger_scores(memory, inside[:1])[0] == filled[: int(len(filled) * 0.4)].mean()


def test_a_run_is_equal_to_a_memory_that_never_held_it(corpus: Corpus) -> None:
    run = UnlearningRun(30, 10, "invented", 0)
    row = run_unlearning(run, corpus)
    assert run.made(row)
    assert (row.forgotten, row.forget_before, row.retain_before, row.retain_after) == (3, 1, 1, 1)
    assert row.forget_after == row.forget_never < 0.3
    assert (row.ledger_after, row.cells_after) == (row.ledger_never, row.cells_never)
    assert (row.ledger_before, row.cells_before) == (1, 1)
    assert (row.leak_after, row.ks_after, row.requests_equal, row.refused) == (0, 1, 1, 1)
    assert row.leak_before == -100
    assert row.copied == 1
    assert row.forget_after < row.near <= 1
    assert row.cells_near > row.cells_after


def test_forgetting_one_by_one_is_a_memory_built_anew(corpus: Corpus) -> None:
    memory = corpus.memory(corpus.texts[:10], 0)
    left = corpus.texts[:10]
    for text in (left[4], left[0], left[7]):
        memory.forget(text, text)
        left = [one for one in left if one != text]
        assert memory.digest() == corpus.memory(left, 0).digest()


def test_what_stays_by_mistake_is_seen(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the measure itself: a memory that forgets nothing when asked to."""
    monkeypatch.setattr("memo_dist.memory.Memory.forget", lambda self, name, tokens: None)
    monkeypatch.setattr("memo_dist.experiments.unlearning._left_in", lambda *_: dict.fromkeys(LEFT_IN, 0.0))
    row = run_unlearning(UnlearningRun(30, 10, "invented", 0), corpus)
    assert (row.requests_equal, row.refused, row.forget_after) == (0, 0, 1)
    assert row.leak_after == row.leak_before == -100


LEFT_IN = ("copied", "near", "cells_near")


def test_a_near_duplicate_differs_in_one_word() -> None:
    text = PARAGRAPHS[0]
    near = near_duplicate(text)
    assert sum(a != b for a, b in zip(text.split(" "), near.split(" "), strict=True)) == 1


def row_of(**values: Any) -> UnlearningRow:
    row = {one.name: 0 if one.type is int else 0.0 for one in fields(UnlearningRow)}
    settings = {"percent": 10, "documents": 10, "text": "invented.txt"}
    return UnlearningRow(**row | settings | values)  # type: ignore[arg-type]


def test_table_has_means_and_published_lines() -> None:
    table = unlearning_table([row_of(copied=1.0), row_of(seed=1, copied=0.5)])
    ours, theirs = table[0], {(line["system"], line["corpus"]): line for line in table[1:]}
    assert (ours["seeds"], ours["copied"]) == (2, 0.75)
    assert len(theirs) == 18
    assert theirs["NPO + KL on retain", "MUSE Books"]["leak_after"] == -43.5
    assert theirs["retrained", "MUSE News"]["forget_after"] == 0.208
    assert all(line.keys() == ours.keys() for line in table)


def test_command_measures_what_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "invented.txt"
    text.write_text("\n\n".join(PARAGRAPHS))
    RowFile(tmp_path / "unlearning-runs.csv", UnlearningRow).append(row_of(copied=0.25))
    words = ["reproduce", "unlearning", "--out", str(tmp_path), "--text", str(text), "--documents", "10", "--json"]
    assert main([*words, "--percents", "10,20"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [line["copied"] for line in told["rows"][:2]] == [0.25, 1]
    assert sorted(Path(file).suffix for file in told["files"]) == [".csv", ".parquet", ".png", ".svg"]
    assert main([*words, "--percents", "60"]) == 2
    assert "at most 50" in json.loads(capsys.readouterr().out)["error"]
    assert main([*words[:-1], "--percents", "10", "--documents", "20"]) == 2
    assert "10, not 20" in capsys.readouterr().err
