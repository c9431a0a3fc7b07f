"""Feed: units -> batches (Dask tasks on Ray) -> every shard, with a bounded number under way.

Covers: back-pressure and acknowledgement. Does not cover: the bound itself (under_way.py), what a batch is, or retries
of lost shards.

At most `limit` units are anywhere between reading and the last shard's answer. The driver holds references only: a
batch goes from the worker that made it through the object store to the shards, one copy for each node, read in place.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from dask.base import persist
from ray.util.dask import ray_dask_get

from cluster.placement import Placed
from cluster.under_way import UnderWay
from memo_dist.shard import Applied

Call = Callable[[Any, Any], Any]  # (actor, batch) -> reference of an Applied


def memorize(actor: Any, batch: Any) -> Any:
    """Ask a shard actor to memorize a batch."""
    return actor.memorize.remote(batch)


def forget(actor: Any, batch: Any) -> Any:
    """Ask a shard actor to forget a batch."""
    return actor.forget.remote(batch)


class Feed:
    """Runs each Dask graph and gives its batch to all shards.

    Args:
        graphs: one `Delayed` for each unit, which gives a batch.
        shards: the actors.
        limit: units under way at a time.
        call: what the actors are asked to do with a batch: `memorize` or `forget`.
    """

    def __init__(self, graphs: Iterable[Any], shards: list[Placed], *, limit: int, call: Call = memorize) -> None:
        self._graphs = enumerate(graphs)
        self._shards, self._call = shards, call
        self._under_way = UnderWay(limit)
        self._exhausted = False

    def fill(self) -> None:
        """Start units until as many are under way as may be. Safe to call before the actors are up: calls queue."""
        while not self._under_way.full:
            unit, graph = next(self._graphs, (None, None))
            if unit is None:
                self._exhausted = True
                return
            batch = _submit(graph)
            self._under_way.start(unit, [self._call(placed.actor, batch) for placed in self._shards])

    @property
    def unfinished(self) -> bool:
        """Whether a unit may be left that is not answered by all shards."""
        return bool(len(self._under_way)) or not self._exhausted

    def __iter__(self) -> Iterator[list[Applied]]:
        """The answers of all shards to a unit, unit by unit, in the order in which they are complete."""
        while self.unfinished:
            self.fill()
            yield from self._next()

    def drain(self) -> Iterator[list[Applied]]:
        """The answers to the units under way, starting no other."""
        while len(self._under_way):
            yield from self._next()

    def _next(self) -> Iterator[list[Applied]]:
        """Wait for one answer more; the answers of its unit if that is complete now."""
        if len(self._under_way):
            done, _ = ray.wait(self._under_way.references, num_returns=1)
            for reference in done:
                answers = self._under_way.answer(reference, ray.get(reference))
                if answers is not None:
                    yield answers


def _submit(graph: Any) -> Any:
    """Start a Dask graph on Ray; the reference of its result."""
    (persisted,) = persist(graph, scheduler=ray_dask_get, ray_persist=True)
    return persisted.dask[persisted.key]
