"""Feed: units -> batches (Dask tasks on Ray) -> every shard, with a bounded number under way.

Covers: back-pressure and acknowledgement. Does not cover: what a batch is, or retries of lost shards.

At most `window` units are anywhere between reading and the last shard's answer. The driver holds references only: a
batch goes from the worker that made it through the object store to the shards, one copy a node, read in place.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import dask
import ray
from ray.util.dask import ray_dask_get

from cluster.placement import Placed
from memo_dist.shard import Applied


def feed(graphs: Iterable[Any], shards: list[Placed], window: int) -> Iterator[list[Applied]]:
    """Run each Dask graph and give its batch to all shards; yield the shards' answers, unit by unit, as they come.

    Args:
        graphs: one `Delayed` a unit, each giving a batch.
        window: units under way.
    """
    waiting: dict[Any, int] = {}  # answer -> unit
    answers: dict[int, list[Applied]] = {}
    todo = enumerate(graphs)
    exhausted = False
    while True:
        while not exhausted and len(answers) < window:
            try:
                unit, graph = next(todo)
            except StopIteration:
                exhausted = True
                break
            batch = _submit(graph)
            answers[unit] = []
            waiting |= {placed.actor.memorize.remote(batch): unit for placed in shards}
        if not waiting:
            return
        done, _ = ray.wait(list(waiting), num_returns=1)
        for reference in done:
            unit = waiting.pop(reference)
            answers[unit].append(ray.get(reference))
            if len(answers[unit]) == len(shards):
                yield answers.pop(unit)


def _submit(graph: Any) -> Any:
    """Start a Dask graph on Ray; the reference of its result."""
    (persisted,) = dask.persist(graph, scheduler=ray_dask_get, ray_persist=True)
    return persisted.dask[persisted.key]
