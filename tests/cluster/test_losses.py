"""Losses: work goes on as long as something is finished between them, and ends after so many in a row."""

from cluster.losses import IN_A_ROW, Losses


def test_losses_in_a_row_without_progress_end_the_work() -> None:
    losses = Losses(most=3)
    assert [losses.add(progressed=False) for _ in range(4)] == [True, True, False, False]
    assert losses.count == 4


def test_progress_begins_the_row_anew() -> None:
    losses = Losses(most=3)
    assert [losses.add(progressed=turn % 3 == 2) for turn in range(30)] == [True] * 30
    assert losses.count == 30


def test_the_default_is_that_of_builds() -> None:
    losses = Losses()
    assert [losses.add(progressed=False) for _ in range(IN_A_ROW)] == [True] * (IN_A_ROW - 1) + [False]
