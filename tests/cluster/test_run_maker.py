"""Making runs, without Ray: what is under way, a stop, tasks that take far longer than others.

Covers: cluster/run_maker.py with an executor that answers in any order, at times that a test sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cluster import run_maker
from cluster.run_maker import RunMaker
from cluster.signals import StopRequest


@dataclass(eq=False)
class Task:
    """The reference of a task; it is done `takes` seconds after it was begun."""

    split: int
    done_at: float


@dataclass
class Clock:
    """Seconds that pass while one waits."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Workers:
    """An executor: each task takes what `takes` says at its first try, and a second at its second."""

    takes: list[float]
    clock: Clock
    places: int = 2
    begun: list[int] = field(default_factory=list)
    most: int = 0
    under_way: list[Task] = field(default_factory=list)

    def processors(self) -> int:
        return self.places

    def submit(self, split: int) -> Task:
        takes = 1.0 if split in self.begun else self.takes[split]
        self.begun.append(split)
        task = Task(split, self.clock.now + takes)
        self.under_way.append(task)
        self.most = max(self.most, len(self.under_way))
        return task

    def wait(self, tasks: list[Task], timeout: float) -> Task | None:
        first = min(tasks, key=lambda task: task.done_at)
        if first.done_at > self.clock.now + timeout:
            self.clock.now += timeout
            return None
        self.clock.now = max(self.clock.now, first.done_at)
        return first

    def get(self, tasks: list[Task]) -> list[list[int]]:
        for task in tasks:
            self.under_way.remove(task)
        return [[task.split] for task in tasks]


def maker(workers: Any, stop: StopRequest | None = None, most: int = 100, streams: int = 0) -> RunMaker:
    graphs: Any = iter(range(len(workers.takes)))
    return RunMaker(graphs, executor=workers, most=most, stop=stop or StopRequest(), streams=streams, now=workers.clock)


def one_by_one(runs: RunMaker) -> Iterator[Any]:
    return (record for records in runs for record in records)


@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), places=st.integers(1, 5), most=st.integers(1, 12))
def test_every_run_is_made_once_and_never_more_under_way_than_may_be(
    seed: int, count: int, places: int, most: int
) -> None:
    workers = Workers(np.random.default_rng(seed).uniform(0.1, 20, count).tolist(), Clock(), places)
    runs = maker(workers, most=most)
    assert sorted(one_by_one(runs)) == list(range(count))
    assert not runs.unfinished
    assert workers.begun == list(range(count))
    assert workers.most <= min(most, 2 * places)


def test_places_that_come_and_go_are_used() -> None:
    workers = Workers([1.0] * 60, Clock(), 1)
    for done, _ in enumerate(one_by_one(maker(workers)), 1):
        workers.places = 8 if done == 10 else 1 if done == 30 else workers.places
        if done in (12, 50):
            assert (len(workers.under_way) > 8) == (done == 12)


def test_a_task_that_takes_far_longer_than_others_is_begun_again_once_no_other_is_left() -> None:
    workers = Workers([2.0, 2.0, 500.0, 2.0, 2.0, 2.0], Clock())
    runs = maker(workers)
    assert sorted(one_by_one(runs)) == [0, 1, 2, 3, 4, 5]  # one record, though two made it
    assert workers.begun == [0, 1, 2, 3, 4, 5, 2]
    assert not runs.unfinished
    assert workers.clock.now < 60


def test_a_stream_is_never_begun_twice_and_does_not_say_how_long_others_take() -> None:
    workers = Workers([500.0, 2.0, 2.0, 300.0, 2.0], Clock())
    assert sorted(one_by_one(maker(workers, streams=1))) == [0, 1, 2, 3, 4]
    assert workers.begun == [0, 1, 2, 3, 4, 3]
    assert workers.clock.now == 500


def test_a_stop_lets_what_is_under_way_end_and_does_not_wait_for_ever() -> None:
    stop = StopRequest()
    workers = Workers([2.0, 3.0, 4.0, 500.0, 2.0, 2.0, 2.0], Clock())
    runs = maker(workers, stop)
    made = []
    for record in one_by_one(runs):
        made.append(record)
        stop.requested = True
    assert made == [0, 1, 2]
    assert runs.unfinished
    assert workers.clock.now <= 5 + run_maker.PATIENCE_SECONDS


def test_a_stop_after_the_last_run_leaves_nothing_unfinished() -> None:
    stop = StopRequest()
    runs = maker(Workers([1.0] * 3, Clock()), stop)
    made = []
    for record in one_by_one(runs):
        made.append(record)
        stop.requested = len(made) == 3
    assert made == [0, 1, 2]
    assert not runs.unfinished
