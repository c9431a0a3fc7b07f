"""RayExecutor: tasks and shards on the Ray cluster that this process is connected to.

Covers: Ray's calls. Does not cover: the connection, errors of remote code (ray_session.py).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import ray
from dask.base import compute, persist
from ray.exceptions import GetTimeoutError
from ray.util.dask import ray_dask_get

from cluster.executor import Actor, Reference
from cluster.ray_session import unwrapped


class RayExecutor:
    """An Executor (executor.py) on Ray. A value goes through the object store, one copy for each node."""

    def unwrapped(self) -> AbstractContextManager[None]:
        return unwrapped()

    def put(self, value: object) -> object:
        return ray.put(value)

    def submit(self, graph: Any) -> Reference:
        (persisted,) = persist(graph, scheduler=ray_dask_get, ray_persist=True)
        return persisted.dask[persisted.key]

    def gather(self, graphs: Sequence[Any]) -> list[Any]:
        return list(compute(*graphs, scheduler=ray_dask_get))

    def start_actor(self, kind: type, spec: object, *, memory_bytes: int | None, gpu: bool) -> Actor:
        # a lost actor has lost its state: a run begins again from what is on disk
        options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_restarts": 0}
        if memory_bytes is not None:
            options["memory"] = memory_bytes
        if gpu:
            options["num_gpus"] = 1
        remote: Any = ray.remote(kind).options(**options)
        return remote.remote(spec)

    def call(self, actor: Actor, method: str, *arguments: object) -> Reference:
        return getattr(actor, method).remote(*arguments)

    def wait(self, references: Sequence[Reference], timeout: float | None = None) -> Reference | None:
        done, _ = ray.wait(list(references), num_returns=1, timeout=timeout)
        return done[0] if done else None

    def get(self, references: Sequence[Reference], timeout: float | None = None) -> list[Any]:
        try:
            return list(ray.get(list(references), timeout=timeout))
        except GetTimeoutError as error:
            raise TimeoutError(str(error)) from error

    def end_actor(self, actor: Actor) -> None:
        ray.kill(actor)

    def describe_room(self) -> str:
        return str(ray.available_resources())

    def processors(self) -> int:
        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def memory(self) -> float:
        """Bytes that all nodes offer."""
        return float(ray.cluster_resources().get("memory", 0))

    def gpus(self) -> float:
        return float(ray.cluster_resources().get("GPU", 0))
