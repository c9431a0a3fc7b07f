"""SORT: pairs, both ways to tell the order, the control, going on after a stop.

Covers: memo_dist/experiments/sort_pairs.py, sort.py, sort_report.py, console/reproduce_sort.py. Truth: where str.find
finds the segments.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.app import main
from memo_dist.errors import InputError
from memo_dist.experiments.rows import RowFile
from memo_dist.experiments.sort import SortBook, SortRow, SortRun, run_sort
from memo_dist.experiments.sort_pairs import Words, drawn_pairs, folded
from memo_dist.experiments.sort_report import sort_table


def invented(count: int) -> list[str]:
    """Paragraphs of sentences of drawn words, lines broken here and there."""
    draws = np.random.default_rng(5)
    words = [f"{a}{b}{c}" for a in ("ba", "ko", "ti", "ru") for b in ("len", "sor", "vam") for c in ("", "a", "os")]
    sentences = [" ".join(draws.choice(words, 9)).capitalize() + "." for _ in range(3 * count)]
    return [f"{sentences[i]} {sentences[i + 1]}\n{sentences[i + 2]}" for i in range(0, 3 * count, 3)]


PARAGRAPHS = invented(30)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> SortBook:
    return SortBook(PARAGRAPHS, tmp_path_factory.mktemp("book"))


def test_pairs_are_sentences_apart_as_asked_in_both_orders() -> None:
    words = Words(PARAGRAPHS)
    assert len(words.spans) == 30 * 27
    assert words.begins.tolist() == list(range(0, 810, 9))
    pairs = drawn_pairs(words, 200, 20, count=32, draws=np.random.default_rng(0))
    assert sum(pair.first for pair in pairs) == 16
    edges = [20, 50, 67, 100, 160]
    for number, pair in enumerate(pairs):
        places = [folded(words.text).find(folded(segment)) for segment in pair.shown]
        assert min(places) >= 0
        assert (places[0] < places[1]) == pair.first
        between = folded(words.text)[min(places) : max(places)]
        assert len(between.split()) == pair.distance
        assert edges[number % 4] <= pair.distance < edges[number % 4 + 1]
        assert all(len(segment.split()) == 20 and segment in words.text for segment in pair.shown)
    again = drawn_pairs(words, 200, 20, count=32, draws=np.random.default_rng(0))
    assert again == pairs
    with pytest.raises(InputError, match="segments of less than a quarter"):
        drawn_pairs(words, 80, 20, count=1, draws=np.random.default_rng(0))
    with pytest.raises(InputError, match="less than the text's 810"):
        drawn_pairs(words, 900, 20, count=1, draws=np.random.default_rng(0))


def test_both_ways_tell_what_a_search_tells(book: SortBook) -> None:
    pairs = drawn_pairs(book.words, 600, 20, count=16, draws=np.random.default_rng(1))
    found = [folded(book.words.text).find(folded(segment)) for pair in pairs for segment in pair.shown]
    truth = [a < b for a, b in zip(found[::2], found[1::2], strict=True)]
    assert [book.first_by_walk(pair, 600) for pair in pairs] == truth
    assert book.first_by_place(pairs, "text.memo") == truth
    far = max(pairs, key=lambda pair: pair.distance)
    assert book.first_by_walk(far, 10) is None  # not within ten words
    mixed = book.first_by_place(pairs, "mixed.memo")
    assert mixed != truth
    assert sum(told is not None for told in mixed) > 8


def test_walks_stop_where_a_text_goes_on_in_two_ways(tmp_path: Path) -> None:
    same = " ".join(f"same{number}" for number in range(100))
    paragraphs = [*PARAGRAPHS[:3], same, *PARAGRAPHS[3:6], same + " here.", *PARAGRAPHS[6:9]]
    book = SortBook(paragraphs, tmp_path)
    before, after, last = (folded(PARAGRAPHS[place])[:90] for place in (0, 4, 8))
    assert book.walks.meets(before, folded(PARAGRAPHS[2])[:90], 500)
    assert not book.walks.meets(before, after, 500)
    assert not book.walks.meets(last, before, 500)


def test_a_run_measures_its_pairs(book: SortBook) -> None:
    run = SortRun(200, 20, 8, "invented", 0)
    row = run_sort(run, book)
    assert run.made(row)
    assert (row.forward_right, row.forward_wrong, row.where_right, row.where_wrong) == (1, 0, 1, 0)
    assert (row.shown_first, row.words) == (0.5, 810)
    assert row.mixed_right < 1


def row_of(**values: Any) -> SortRow:
    row = {one.name: 0 if one.type is int else 0.0 for one in fields(SortRow)}
    settings = {"excerpt": 200, "segment": 20, "pairs": 8, "text": "invented.txt"}
    return SortRow(**row | settings | values)  # type: ignore[arg-type]


def test_table_has_means_silences_guessed_and_published_lines() -> None:
    table = sort_table([row_of(forward_right=0.8, forward_wrong=0.1), row_of(seed=1, forward_right=0.6)])
    ours, theirs = table[0], {line["system"]: line for line in table[1:]}
    assert (ours["seeds"], ours["forward_right"]) == (2, pytest.approx(0.7))
    assert ours["guessed"] == pytest.approx(0.7 + 0.25 / 2)
    assert (theirs["retrieval"]["least"], theirs["text in context"]["greatest"]) == (0.55, 0.95)
    assert all(line.keys() == ours.keys() for line in table)


def test_command_measures_what_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "invented.txt"
    text.write_text("\n\n".join(PARAGRAPHS))
    RowFile(tmp_path / "sort-runs.csv", SortRow).append(row_of(where_right=0.25))
    words = ["reproduce", "sort", "--out", str(tmp_path), "--text", str(text), "--pairs", "8", "--json"]
    assert main([*words, "--excerpts", "200,300", "--segments", "20"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [line["where_right"] for line in told["rows"][:2]] == [0.25, 1]
    assert sorted(Path(file).suffix for file in told["files"]) == [".csv", ".parquet", ".png", ".svg"]
    for flags, said in (
        (["--excerpts", "900", "--segments", "20"], "invented.txt has 810 words"),
        (["--excerpts", "80", "--segments", "20"], "less than a quarter of an excerpt"),
    ):
        assert main([*words, *flags]) == 2
        assert said in json.loads(capsys.readouterr().out)["error"]
