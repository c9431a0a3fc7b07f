"""The conveyor under any timing: copies and work are put off as long as, or done as soon as, the marks allow."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.device.conveyor import Conveyor
from memo_dist.device.lanes import Done, Lane, Mark, lanes


@dataclass
class Lazy:
    """Lanes whose work runs at moments of a random generator's choosing, in the order of each lane."""

    chance: random.Random
    lanes: "list[LazyLane]" = field(default_factory=list)

    def make(self, xp: ModuleType) -> tuple[Lane, Lane, Lane]:
        self.lanes = [LazyLane(self) for _ in range(3)]
        return self.lanes[0], self.lanes[1], self.lanes[2]

    def some_time_passes(self) -> None:
        for _ in range(self.chance.randrange(6)):
            self.chance.choice(self.lanes).step()


@dataclass
class LazyMark:
    world: Lazy
    reached: bool = False

    def finish(self) -> None:
        while not self.reached:
            self.world.chance.choice(self.world.lanes).step()


@dataclass
class LazyLane:
    world: Lazy
    waiting: "deque[Callable[[], bool]]" = field(default_factory=deque)

    def step(self) -> None:
        if self.waiting and self.waiting[0]():
            self.waiting.popleft()

    def put(self, work: Callable[[], bool]) -> None:
        self.waiting.append(work)
        self.world.some_time_passes()

    def upload(self, host: np.ndarray, device: np.ndarray) -> None:
        self.copy(host, device)

    def download(self, device: np.ndarray, host: np.ndarray) -> None:
        self.copy(device, host)

    def copy(self, source: np.ndarray, target: np.ndarray) -> None:
        def work() -> bool:
            target[:] = source
            return True

        self.put(work)

    def wait(self, mark: Mark) -> None:
        self.put(lambda: isinstance(mark, Done) or (isinstance(mark, LazyMark) and mark.reached))

    def mark(self) -> Mark:
        mark = LazyMark(self.world)

        def work() -> bool:
            mark.reached = True
            return True

        self.put(work)
        return mark


items = st.lists(st.lists(st.integers(-99, 99), max_size=7), max_size=9)


@settings(max_examples=150, deadline=None)
@given(st.lists(items, min_size=1, max_size=3), st.booleans(), st.integers(0, 2**32))
def test_every_item_arrives_and_comes_back_whatever_the_timing(
    rounds: list[list[list[int]]], returned: bool, seed: int
) -> None:
    """The work, too, is only begun when the next item is asked for, as kernels are."""
    world = Lazy(random.Random(seed))
    conveyor = Conveyor(np, world.make)
    for rows in rounds:
        hosts = [np.array(row, np.int16) for row in rows]
        seen: list[list[int]] = []
        back: list[tuple[int, list[int]]] = []

        def take(number: int, host: np.ndarray, back: list[tuple[int, list[int]]] = back) -> None:
            back.append((number, host.tolist()))

        for device in conveyor.carry(hosts, take if returned else None):

            def work(device: np.ndarray = device, seen: list[list[int]] = seen) -> bool:
                seen.append(device.tolist())
                device += 1
                return True

            world.lanes[0].put(work)
        if world.lanes:
            world.lanes[0].mark().finish()
        assert seen == rows
        expected = [(number, [value + 1 for value in row]) for number, row in enumerate(rows)]
        assert back == (expected if returned else [])


@pytest.mark.parametrize("skipped", ["wait", "finish"])
def test_the_test_finds_what_a_missing_wait_breaks(skipped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conveyor whose lanes ignore marks, or whose host does, is caught by the test above."""
    monkeypatch.setattr(LazyLane if skipped == "wait" else LazyMark, skipped, lambda *_: None)
    rows = [[[number] * 5 for number in range(8)]]
    caught = 0
    for seed in range(20):
        try:
            test_every_item_arrives_and_comes_back_whatever_the_timing.hypothesis.inner_test(rows, True, seed)  # type: ignore[attr-defined]
        except AssertionError:
            caught += 1
    assert caught


def test_with_numpy_a_copy_is_done_when_it_is_asked_for() -> None:
    hosts = [np.full((2, 3), number, np.int64) for number in range(5)]
    back: list[int] = []
    for number, device in enumerate(Conveyor(np, lanes).carry(hosts, lambda n, host: back.append(int(host.sum())))):
        assert device.tolist() == hosts[number].tolist()
        device *= 2
    assert back == [12 * number for number in range(5)]
