"""Feed: units -> batches (Dask tasks on Ray) -> every shard, with a bounded number under way.

Covers: back-pressure and acknowledgement. Does not cover: what a batch is, or retries of lost shards.

At most `window` units are anywhere between reading and the last shard's answer. The driver holds references only: a
batch goes from the worker that made it through the object store to the shards, one copy a node, read in place.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import ray
from dask.base import persist
from ray.util.dask import ray_dask_get

from cluster.placement import Placed
from memo_dist.shard import Applied


class Feed:
    """Runs each Dask graph and gives its batch to all shards.

    Args:
        graphs: one `Delayed` a unit, each giving a batch.
        shards: actors with `memorize(batch) -> Applied` and `forget(batch) -> Applied`.
        window: units under way at a time.
        sign: -1 to forget the batches.
    """

    def __init__(self, graphs: Iterable[Any], shards: list[Placed], window: int, sign: int = 1) -> None:
        self._graphs = enumerate(graphs)
        self._shards = shards
        self._window, self._sign = window, sign
        self._exhausted = False
        self._waiting: dict[Any, int] = {}  # reference of an answer -> unit
        self._answers: dict[int, list[Applied]] = {}

    def fill(self) -> None:
        """Start units until the window is full. Safe to call before the actors are up: their calls queue."""
        while len(self._answers) < self._window:
            unit, graph = next(self._graphs, (None, None))
            if unit is None:
                self._exhausted = True
                return
            batch = _submit(graph)
            self._answers[unit] = []
            verb = "memorize" if self._sign > 0 else "forget"
            self._waiting |= {getattr(placed.actor, verb).remote(batch): unit for placed in self._shards}

    @property
    def unfinished(self) -> bool:
        """Whether a unit may be left that is not answered by all shards."""
        return bool(self._waiting) or not self._exhausted

    def __iter__(self) -> Iterator[list[Applied]]:
        """The answers of all shards to a unit, unit by unit, in the order in which they are complete."""
        while self.unfinished:
            self.fill()
            yield from self._next()

    def drain(self) -> Iterator[list[Applied]]:
        """The answers to the units under way, starting no other."""
        while self._waiting:
            yield from self._next()

    def _next(self) -> Iterator[list[Applied]]:
        """Wait for one answer more, and give what is complete with it."""
        if self._waiting:
            done, _ = ray.wait(list(self._waiting), num_returns=1)
            for reference in done:
                unit = self._waiting.pop(reference)
                self._answers[unit].append(ray.get(reference))
                if len(self._answers[unit]) == len(self._shards):
                    yield self._answers.pop(unit)


def _submit(graph: Any) -> Any:
    """Start a Dask graph on Ray; the reference of its result."""
    (persisted,) = persist(graph, scheduler=ray_dask_get, ray_persist=True)
    return persisted.dask[persisted.key]
