"""Answers of threads come in the order of what was asked."""

import time

import pytest

from memo_dist.threads import in_threads


def test_answers_come_in_order() -> None:
    def late(n: int) -> int:
        time.sleep((9 - n) / 1000)
        return n * n

    assert in_threads(late, range(9)) == [n * n for n in range(9)]
    assert in_threads(late, []) == []


def test_the_first_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda n: 1 // n, [1, 0, 2])
