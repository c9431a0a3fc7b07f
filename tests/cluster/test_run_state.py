"""The state of a run, without Ray: counters over attempts, when it gives up, when a checkpoint is due."""

from dataclasses import replace

import pytest

from cluster.losses import IN_A_ROW as LOSSES
from cluster.run_state import Held, RunState
from memo_dist.shard import Applied

UNIT = Applied(batch_id="", fresh=True, tokens=10, documents=2, skipped=1, replaced=3, empty=4)


class Time:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def state(*, forgets: bool = False, every: float = 60.0, now: Time | None = None) -> RunState:
    return RunState(8, forgets=forgets, checkpoint_every=every, now=now or Time())


def test_tokens_are_added_over_shards_and_what_was_left_out_is_taken_from_one() -> None:
    run = state()
    run.begin(Held())
    run.count([UNIT, replace(UNIT, tokens=5, documents=0)])
    run.count([UNIT, replace(UNIT, tokens=0, documents=1)])
    told = run.progress
    assert (told.splits_done, told.tokens, told.documents) == (2, 25, 5)
    assert (told.skipped, told.replaced, told.empty) == (2, 6, 8)


def test_forgetting_takes_tokens_and_documents_away() -> None:
    run = state(forgets=True)
    run.begin(Held(tokens=1000, documents=50))
    run.count([UNIT, UNIT])
    assert (run.progress.tokens, run.progress.documents) == (980, 46)
    assert run.progress.splits_done == 1


def test_an_attempt_counts_on_from_the_checkpoint_and_forgets_what_came_after_it() -> None:
    run = state()
    run.begin(Held())
    for _ in range(3):
        run.count([UNIT])
    run.checkpointed()
    run.count([UNIT])  # lost
    run.begin(Held(tokens=30, documents=6, splits_done=3, skipped=3, replaced=9, empty=12))
    run.count([UNIT])
    told = run.progress
    assert (told.splits, told.splits_before, told.splits_done, told.tokens) == (8, 3, 4, 40)
    assert (told.skipped, told.replaced, told.empty) == (4, 12, 16)


@pytest.mark.parametrize("first", [0, 5])
def test_units_before_are_those_before_the_first_attempt(first: int) -> None:
    run = state()
    for done in (first, 6, 7):
        run.begin(Held(splits_done=done))
    assert (run.splits_before, run.attempts) == (first, 3)


def test_a_run_gives_up_after_losses_without_a_checkpoint_in_between() -> None:
    run = state()
    for _ in range(LOSSES - 1):
        run.begin(Held())
        assert run.goes_on_after_loss(no_room=False)
    run.begin(Held())
    assert not run.goes_on_after_loss(no_room=False)
    assert run.losses == LOSSES


def test_a_checkpoint_makes_losses_count_anew() -> None:
    run = state()
    for turn in range(3 * LOSSES):
        run.begin(Held())
        if turn % (LOSSES - 1) == 0:
            run.checkpointed()
        assert run.goes_on_after_loss(no_room=False)
    assert run.losses == 3 * LOSSES


def test_no_room_ends_a_run_only_if_nothing_was_lost_before() -> None:
    run = state()
    run.begin(Held())
    assert not run.goes_on_after_loss(no_room=True)
    assert run.losses == 0
    again = state()
    again.begin(Held())
    assert again.goes_on_after_loss(no_room=False)
    again.begin(Held())
    assert again.goes_on_after_loss(no_room=True)  # a node may come back


def test_a_checkpoint_is_due_after_the_seconds_of_work_that_may_be_lost() -> None:
    now = Time()
    run = state(every=60.0, now=now)
    run.begin(Held())
    now.seconds += 300  # shards start
    run.shards_are_up()
    now.seconds += 59
    assert not run.checkpoint_is_due
    now.seconds += 1
    assert run.checkpoint_is_due
    run.checkpointed()
    assert not run.checkpoint_is_due
    now.seconds += 60
    assert run.checkpoint_is_due
