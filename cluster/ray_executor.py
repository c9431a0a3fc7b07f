"""RayExecutor: tasks and shards on the Ray cluster that this process is connected to.

Covers: Ray's calls. Does not cover: the connection, errors of remote code (ray_session.py), Ray's own processes
(own_ray.py).

A call of Ray's may wait for a cluster that has ended, for a minute, and is then ended with this process. So calls are
made in a thread, answers waited for in steps, and between them it is looked whether Ray is still there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import ray
from dask.base import persist
from ray.exceptions import GetTimeoutError
from ray.util.dask import ray_dask_get

from cluster.executor import Actor, Reference
from cluster.own_ray import OwnRay
from cluster.ray_session import unwrapped
from memo_dist.errors import ClusterError

_STEP_SECONDS = 1.0
_ANSWER_SECONDS = 15.0  # that a call takes at most
T = TypeVar("T")


class RayExecutor:
    """An Executor (executor.py) on Ray. A value goes through the object store, one copy for each node."""

    def __init__(self) -> None:
        self._ray, self._calls = OwnRay(), ThreadPoolExecutor(1)

    def unwrapped(self) -> AbstractContextManager[None]:
        return unwrapped()

    def put(self, value: object) -> object:
        return self._answer(lambda: ray.put(value))

    def submit(self, graph: Any) -> Reference:
        (persisted,) = self._answer(lambda: persist(graph, scheduler=ray_dask_get, ray_persist=True))
        return persisted.dask[persisted.key]

    def gather(self, graphs: Sequence[Any]) -> list[Any]:
        return self.get([self.submit(graph) for graph in graphs])

    def start_actor(self, kind: type, spec: object, *, memory_bytes: int | None, gpu: bool) -> Actor:
        # a lost actor has lost its state: a run begins again from what is on disk
        options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_restarts": 0}
        if memory_bytes is not None:
            options["memory"] = memory_bytes
        if gpu:
            options["num_gpus"] = 1
        return self._started(kind, options, spec)

    def start_worker(self, kind: type, *arguments: object) -> Actor:
        """Start an actor that takes a processor and has nothing to lose."""
        return self._started(kind, {"num_cpus": 1, "scheduling_strategy": "SPREAD"}, *arguments)

    def _started(self, kind: type, options: dict[str, Any], *arguments: object) -> Actor:
        remote: Any = ray.remote(kind).options(**options)
        return self._answer(lambda: remote.remote(*arguments))

    def call(self, actor: Actor, method: str, *arguments: object) -> Reference:
        return self._answer(lambda: getattr(actor, method).remote(*arguments))

    def wait(self, references: Sequence[Reference], timeout: float | None = None) -> Reference | None:
        for seconds in self._steps(timeout):
            done, _ = ray.wait(list(references), num_returns=1, timeout=seconds)
            if done:
                return done[0]
        return None

    def get(self, references: Sequence[Reference], timeout: float | None = None) -> list[Any]:
        for seconds in self._steps(timeout):
            try:
                return list(ray.get(list(references), timeout=seconds))
            except GetTimeoutError:
                continue
        raise TimeoutError(f"{len(references)} answers are not there after {timeout} s")

    def end_actor(self, actor: Actor) -> None:
        if not self._ray.ended:
            ray.kill(actor)

    def describe_room(self) -> str:
        return str(self._answer(ray.available_resources))

    def processors(self) -> int:
        return max(1, int(self._offered("CPU", 1)))

    def memory(self) -> float:
        """Bytes that all nodes offer."""
        return self._offered("memory", 0)

    def gpus(self) -> float:
        return self._offered("GPU", 0)

    def _offered(self, resource: str, least: float) -> float:
        return float(self._answer(ray.cluster_resources).get(resource, least))

    def _answer(self, call: Callable[[], T]) -> T:
        """What a call of Ray's gives.

        Raises:
            ClusterEndedError: Ray has ended. ClusterError: it does not answer.
        """
        asked = self._calls.submit(call)
        for seconds in self._steps(_ANSWER_SECONDS):
            try:
                return asked.result(seconds)
            except TimeoutError:
                if asked.done():  # it is the call's own
                    raise
        raise ClusterError(f"the Ray cluster has not answered for {_ANSWER_SECONDS:.0f} s")

    def _steps(self, timeout: float | None) -> Iterator[float]:
        """Seconds to wait, again and again until it is enough, each time with a Ray that is there."""
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            self._ray.require()
            left = until - time.monotonic()
            yield max(0.0, min(_STEP_SECONDS, left))
            if left <= _STEP_SECONDS:
                return
