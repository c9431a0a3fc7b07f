"""The feed's bound: never more units under way than the limit, whatever the order of answers. Without Ray."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import feed
from cluster.feed import Feed
from cluster.placement import Placed
from cluster.under_way import UnderWay


def test_a_unit_is_complete_with_the_last_shards_answer_and_makes_room() -> None:
    units = UnderWay(2)
    units.start(0, ["a0", "b0"])
    units.start(1, ["a1", "b1"])
    assert units.full
    assert sorted(units.references) == ["a0", "a1", "b0", "b1"]
    assert units.answer("b1", 11) is None
    assert units.full
    assert units.answer("a1", 10) == [11, 10]
    assert not units.full
    assert len(units) == 1
    assert sorted(units.references) == ["a0", "b0"]


@dataclass(frozen=True)
class Answer:
    """The reference of what a shard says of a unit."""

    shard: int
    unit: int


class Cluster:
    """Shards and workers that answer in the order that `draws` gives; it counts what is under way."""

    def __init__(self, shards: int, seed: int) -> None:
        self.draws = np.random.default_rng(seed)
        self.begun: list[int] = []
        self.answered: dict[int, int] = {}
        self.asked: list[str] = []
        self.most = 0
        self.shards = [Placed(self._actor(index), range(0), None) for index in range(shards)]

    def _actor(self, shard: int) -> Any:
        def method(name: str) -> Any:
            def remote(unit: int) -> Answer:
                self.asked.append(name)
                return Answer(shard, unit)

            return SimpleNamespace(remote=remote)

        return SimpleNamespace(memorize=method("memorize"), forget=method("forget"))

    def submit(self, unit: int) -> int:
        self.begun.append(unit)
        done = sum(count == len(self.shards) for count in self.answered.values())
        self.most = max(self.most, len(self.begun) - done)
        return unit

    def wait(self, references: list[Answer], num_returns: int) -> tuple[list[Answer], list[Answer]]:
        assert num_returns == 1
        chosen = references[int(self.draws.integers(len(references)))]
        return [chosen], [one for one in references if one != chosen]

    def get(self, reference: Answer) -> Answer:
        self.answered[reference.unit] = self.answered.get(reference.unit, 0) + 1
        return reference


@pytest.fixture(scope="module", autouse=True)
def no_ray() -> Iterator[list[Cluster]]:
    """While tests of this module run, the feed talks to the last Cluster that was made."""
    made: list[Cluster] = []
    with pytest.MonkeyPatch.context() as patch:
        stand_in = SimpleNamespace(
            wait=lambda references, num_returns: made[-1].wait(references, num_returns),
            get=lambda reference: made[-1].get(reference),
        )
        patch.setattr(feed, "ray", stand_in)
        patch.setattr(feed, "_submit", lambda graph: made[-1].submit(graph))
        yield made


@given(units=st.integers(0, 40), shards=st.integers(1, 4), limit=st.integers(1, 9), seed=st.integers(0, 99))
def test_no_more_units_than_the_limit_are_under_way(
    no_ray: list[Cluster], units: int, shards: int, limit: int, seed: int
) -> None:
    cluster = Cluster(shards, seed)
    no_ray.append(cluster)
    complete = list(Feed(iter(range(units)), cluster.shards, limit=limit))
    assert cluster.most == min(units, limit)  # and the limit is used
    assert sorted(answers[0].unit for answers in complete) == list(range(units))
    for answers in complete:
        assert sorted(one.shard for one in answers) == list(range(shards))
        assert len({one.unit for one in answers}) == 1


def test_draining_starts_nothing_and_the_feed_goes_on_after_it(no_ray: list[Cluster]) -> None:
    cluster = Cluster(2, seed=1)
    no_ray.append(cluster)
    units = Feed(iter(range(10)), cluster.shards, limit=3)
    units.fill()
    assert len(cluster.begun) == 3
    assert len(list(units.drain())) == 3
    assert len(cluster.begun) == 3
    assert units.unfinished
    assert len(list(units)) == 7
    assert not units.unfinished


@pytest.mark.parametrize("verb", ["memorize", "forget"])
def test_shards_are_asked_by_the_verb(no_ray: list[Cluster], verb: str) -> None:
    cluster = Cluster(2, seed=1)
    no_ray.append(cluster)
    list(Feed(iter(range(3)), cluster.shards, limit=2, call=getattr(feed, verb)))
    assert cluster.asked == [verb] * 6
