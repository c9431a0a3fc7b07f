"""A journal: the last row of a key counts, a torn line goes, the finished file does not depend on the past."""

from pathlib import Path

import pytest

from memo_dist.endpoint.journal import Journal
from memo_dist.errors import FencedError, InputError


def test_the_finished_file_has_the_order_of_the_work_and_one_row_a_key(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path) as journal:
        for row in ({"key": "c", "error": "no"}, {"key": "a", "result": 1}, {"key": "old"}, {"key": "c", "result": 3}):
            journal.add(row)
        assert [journal.done(key) for key in "abc"] == [True, False, True]
        journal.finish(["a", "b", "c"])
    assert path.read_text() == '{"key": "a", "result": 1}\n{"key": "c", "result": 3}\n{"key": "old"}\n'


def test_an_error_is_not_done(tmp_path: Path) -> None:
    with Journal(tmp_path / "rows.jsonl") as journal:
        journal.add({"key": "a", "error": "no"})
        assert not journal.done("a")


def test_a_torn_last_line_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "res')
    with Journal(path) as journal:
        assert list(journal.rows) == ["a"]
        journal.add({"key": "c"})
    assert path.read_text() == '{"key": "a"}\n{"key": "c"}\n'


def test_a_file_of_something_else_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a"}\nMy diary\n')
    with pytest.raises(InputError, match=r"rows.jsonl line 2 is no row of this work"):
        Journal(path)
    assert path.read_text() == '{"key": "a"}\nMy diary\n'


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    with Journal(tmp_path / "rows.jsonl"), pytest.raises(FencedError, match="another command writes"):
        Journal(tmp_path / "rows.jsonl")


def test_half_a_surrogate_pair_does_no_harm(tmp_path: Path) -> None:
    with Journal(tmp_path / "rows.jsonl") as journal:
        journal.add({"key": "a", "error": "\ud800"})
    with Journal(tmp_path / "rows.jsonl") as journal:
        assert not journal.done("a")
