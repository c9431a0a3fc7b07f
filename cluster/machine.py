"""What a command has to work with: processors and memory, of this machine or of a cluster.

Covers: what is there when it begins. Does not cover: what comes and goes meanwhile (executor.py), disks (room.py).
"""

import os
from dataclasses import dataclass

import psutil

from cluster.resources import Resources

_SHARE = 0.85


@dataclass(frozen=True)
class Machines:
    """What a plan may take: processors, and bytes of all processes together."""

    processors: int
    budget: int


def local_cpus() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def machines_for(resources: Resources) -> Machines:
    """Those of this machine, or, with the address of a cluster, of all its nodes; a budget that was asked for counts.

    Raises:
        ConfigError: the cluster does not answer.
    """
    if not resources.on_cluster:
        free = int(psutil.virtual_memory().available * _SHARE)
        return Machines(local_cpus(), free if resources.memory_budget is None else resources.memory_budget)
    from cluster.ray_executor import RayExecutor
    from cluster.ray_session import ray_session

    with ray_session(resources.address):
        executor = RayExecutor()
        processors, free = executor.processors(), int(executor.memory() * _SHARE)
    return Machines(processors, free if resources.memory_budget is None else resources.memory_budget)
