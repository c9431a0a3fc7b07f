"""The feed's bound: never more splits under way than the limit, whatever the order of answers. Without Ray."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.feed import Feed
from cluster.placement import Placed
from cluster.under_way import UnderWay


def test_a_unit_is_complete_with_the_last_shards_answer_and_makes_room() -> None:
    splits = UnderWay(2)
    splits.start(0, ["a0", "b0"])
    splits.start(1, ["a1", "b1"])
    assert splits.full
    assert sorted(splits.references) == ["a0", "a1", "b0", "b1"]
    assert splits.answer("b1", 11) is None
    assert splits.full
    assert splits.answer("a1", 10) == [11, 10]
    assert not splits.full
    assert len(splits) == 1
    assert sorted(splits.references) == ["a0", "b0"]


@dataclass(frozen=True)
class Answer:
    """The reference of what a shard says of a split."""

    shard: int
    split: int


class Cluster:
    """Shards and workers that answer in the order that `draws` gives; it counts what is under way."""

    def __init__(self, shards: int, seed: int) -> None:
        self.draws = np.random.default_rng(seed)
        self.begun: list[int] = []
        self.answered: dict[int, int] = {}
        self.asked: list[str] = []
        self.most = 0
        self.shards = [Placed(index, range(0), None) for index in range(shards)]

    def call(self, actor: int, method: str, split: int) -> Answer:
        self.asked.append(method)
        return Answer(actor, split)

    def submit(self, split: int) -> int:
        self.begun.append(split)
        done = sum(count == len(self.shards) for count in self.answered.values())
        self.most = max(self.most, len(self.begun) - done)
        return split

    def wait(self, references: list[Answer]) -> Answer:
        return references[int(self.draws.integers(len(references)))]

    def get(self, references: list[Answer]) -> list[Answer]:
        for one in references:
            self.answered[one.split] = self.answered.get(one.split, 0) + 1
        return references


def feed_of(splits: int, cluster: Cluster, *, limit: int, call: str = "memorize") -> Feed:
    executor: Any = cluster
    return Feed(iter(range(splits)), cluster.shards, executor=executor, limit=limit, call=call)


@given(splits=st.integers(0, 40), shards=st.integers(1, 4), limit=st.integers(1, 9), seed=st.integers(0, 99))
def test_no_more_units_than_the_limit_are_under_way(splits: int, shards: int, limit: int, seed: int) -> None:
    cluster = Cluster(shards, seed)
    complete = list(feed_of(splits, cluster, limit=limit))
    assert cluster.most == min(splits, limit)  # and the limit is used
    assert sorted(answers[0].split for answers in complete) == list(range(splits))
    for answers in complete:
        assert sorted(one.shard for one in answers) == list(range(shards))
        assert len({one.split for one in answers}) == 1


def test_draining_starts_nothing_and_the_feed_goes_on_after_it() -> None:
    cluster = Cluster(2, seed=1)
    splits = feed_of(10, cluster, limit=3)
    splits.fill()
    assert len(cluster.begun) == 3
    assert len(list(splits.drain())) == 3
    assert len(cluster.begun) == 3
    assert splits.unfinished
    assert len(list(splits)) == 7
    assert not splits.unfinished


@pytest.mark.parametrize("verb", ["memorize", "forget"])
def test_shards_are_asked_by_the_verb(verb: str) -> None:
    cluster = Cluster(2, seed=1)
    list(feed_of(3, cluster, limit=2, call=verb))
    assert cluster.asked == [verb] * 6
