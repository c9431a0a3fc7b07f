"""Feed: splits -> batches (Dask tasks) -> every shard, with a bounded number under way.

Covers: back-pressure and acknowledgement. Does not cover: the bound itself (under_way.py), what a batch is, or retries
of lost shards.

At most `limit` splits are anywhere between reading and the last shard's answer. The driver holds references only: a
batch goes from the worker that made it through the object store to the shards, one copy for each node, read in place.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from cluster.executor import Executor
from cluster.placement import Placed
from cluster.under_way import UnderWay
from memo_dist.shard import Applied


class Feed:
    """Runs each Dask graph and gives its batch to all shards.

    Args:
        graphs: one `Delayed` for each split, which gives a batch.
        shards: the actors.
        executor: runs the graphs, and owns the actors.
        limit: splits under way at a time.
        call: what the actors are asked to do with a batch: "memorize" or "forget".
    """

    def __init__(
        self, graphs: Iterable[Any], shards: list[Placed], *, executor: Executor, limit: int, call: str = "memorize"
    ) -> None:
        self._graphs = enumerate(graphs)
        self._shards, self._executor, self._call = shards, executor, call
        self._under_way = UnderWay(limit)
        self._exhausted = False

    def fill(self) -> None:
        """Start splits until as many are under way as may be. Safe to call before the actors are up: calls queue."""
        while not self._under_way.full:
            split, graph = next(self._graphs, (None, None))
            if split is None:
                self._exhausted = True
                return
            batch = self._executor.submit(graph)
            asked = [self._executor.call(placed.actor, self._call, batch) for placed in self._shards]
            self._under_way.start(split, asked)

    @property
    def unfinished(self) -> bool:
        """Whether a split may be left that is not answered by all shards."""
        return bool(len(self._under_way)) or not self._exhausted

    def __iter__(self) -> Iterator[list[Applied]]:
        """The answers of all shards to a split, split by split, in the order in which they are complete."""
        while self.unfinished:
            self.fill()
            yield from self._next()

    def drain(self) -> Iterator[list[Applied]]:
        """The answers to the splits under way, starting no other."""
        while len(self._under_way):
            yield from self._next()

    def _next(self) -> Iterator[list[Applied]]:
        """Wait for one answer more; the answers of its split if that is complete now."""
        if len(self._under_way):
            reference = self._executor.wait(self._under_way.references)
            answers = self._under_way.answer(reference, self._executor.get([reference])[0])
            if answers is not None:
                yield answers
