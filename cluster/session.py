"""Session: the executor of a command, for as long as it works.

Covers: threads of this process or a Ray cluster, by what was asked for and how much there is to do. Does not cover:
Ray's start and end (ray_session.py).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from threadpoolctl import threadpool_limits

from cluster.driver_log import logged_to
from cluster.executor import Executor
from cluster.resources import NO_CLUSTER, Resources
from cluster.thread_executor import ThreadExecutor

if TYPE_CHECKING:
    from memo_dist.planning.memory_plan import MemoryPlan

_FEW_TOKENS = 8_000_000  # about 30 MB of text: done by threads before a cluster has started


class WorkPlan(NamedTuple):
    """What a session is made for: threads of this process or processes of a cluster, how many, their object store."""

    in_process: bool
    workers: int
    store_bytes: int


def runs_in_process(resources: Resources, tokens: int) -> bool:
    """Whether a command on so many tokens, those of the memory that it changes among them, does without Ray: where no
    cluster is asked for or connected to, and starting one would take longer than the work."""
    if resources.address == NO_CLUSTER:
        return True
    small = tokens <= _FEW_TOKENS and resources.device != "gpu"
    return resources.address is None and small and not _is_connected()


def _is_connected() -> bool:
    """Whether this process is in a Ray cluster; Ray takes a second to import, so it is not for this question."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


@contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Stay connected to a cluster that is given, from the first question of what it has to the end of the command.

    Raises:
        ConfigError: the cluster does not answer.
    """
    if not resources.on_cluster:
        yield
        return
    from cluster.ray_session import ray_session

    with ray_session(resources.address):
        yield


@contextmanager
def session(resources: Resources, plan: "MemoryPlan | WorkPlan") -> Iterator[Executor]:
    """The executor that a plan was made for; its threads or processes end with the block.

    Raises:
        ConfigError: the cluster does not answer.
        ClusterError: a process or a node was lost. StorageError: the log cannot be written.
    """
    with logged_to(resources.log_file):
        if plan.in_process:
            with threadpool_limits(1), ThreadExecutor(plan.workers) as executor:
                yield executor
        else:
            with _on_ray(resources, plan) as executor:
                yield executor


@contextmanager
def _on_ray(resources: Resources, plan: "MemoryPlan | WorkPlan") -> Iterator[Executor]:
    from cluster.ray_executor import RayExecutor
    from cluster.ray_session import ray_session

    with ray_session(resources.address, plan.workers, plan.store_bytes):
        yield RayExecutor()
