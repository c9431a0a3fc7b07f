"""By file: what is done to each file of a memory by itself, on threads or on a cluster.

Covers: some files at a time, in whatever order they are done. Does not cover: what is done to one (verify.py,
publish_sums.py).
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from dask.delayed import delayed

from cluster.executor import Reference
from cluster.machine import machines_for
from cluster.resources import NO_CLUSTER, Resources
from cluster.session import WorkPlan, connected, session

Made = TypeVar("Made")
_STORE_BYTES = 100_000_000


def each_file(
    task: Callable[[int], Made],
    count: int,
    *,
    resources: Resources,
    on_done: Callable[[int], None] = lambda done: None,
) -> list[Made]:
    """What a task makes of each of `count` files, by their numbers, in order.

    Args:
        task: is pickled, where there is a cluster, whose nodes must see what it reads and writes.
        resources: an address takes the tasks to that cluster; else threads of this process run them.
        on_done: called with the number of files that are done.

    Raises:
        ClusterError: a node was lost. Whatever the task raises.
    """
    found: dict[int, Made] = {}
    with connected(resources):
        in_process = resources.address in (None, NO_CLUSTER)
        workers = max(1, min(count, machines_for(resources).processors))
        with session(resources, WorkPlan(in_process, workers, _STORE_BYTES)) as executor, executor.unwrapped():
            waiting: dict[Reference, int] = {}
            left = iter(range(count))
            while len(found) < count:
                for index in islice(left, max(0, 2 * executor.processors() - len(waiting))):
                    graph: Any = delayed(task, pure=False)(index)
                    waiting[executor.submit(graph)] = index
                done = executor.wait(list(waiting), timeout=1.0)
                if done is not None:
                    (found[waiting.pop(done)],) = executor.get([done])
                    on_done(len(found))
    return [found[index] for index in range(count)]
