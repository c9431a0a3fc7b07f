"""ThreadExecutor: tasks and actors in threads of this process, for corpora that are done before a cluster is up.

Covers: threads for tasks, a thread for each actor. Does not cover: when a command takes it (session.py).

Tokenizing, hashing, sorting and adding leave Python's lock, so threads use the processors. Nothing is copied between
processes, and none has to start.
"""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

from dask.base import compute
from dask.delayed import delayed

from cluster.executor import Reference


@runtime_checkable
class Endable(Protocol):
    """An actor that can end a call that runs before it is done."""

    def end(self) -> None:
        """Called from another thread."""


class ActorThread:
    """An actor and its thread.

    Args:
        kind, spec: the class, and what it is made of, there.
    """

    def __init__(self, kind: type, spec: object) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._made: Future[Any] = self._thread.submit(kind, spec)

    def call(self, method: str, arguments: Sequence[object]) -> Future[Any]:
        """Queue a call; it waits for its arguments where it runs."""
        return self._thread.submit(self._run, method, arguments)

    def _run(self, method: str, arguments: Sequence[object]) -> Any:
        values = [one.result() if isinstance(one, Future) else one for one in arguments]
        return getattr(self._made.result(), method)(*values)

    def end(self) -> None:
        """Let the call that runs end, and wait for it; drop the others, and the actor."""
        if self._made.done() and not self._made.cancelled() and self._made.exception() is None:
            made = self._made.result()
            if isinstance(made, Endable):
                made.end()
        self._thread.shutdown(cancel_futures=True)
        del self._made


class ThreadExecutor:
    """An Executor (executor.py) in this process.

    Args:
        workers: threads for tasks.
    """

    def __init__(self, workers: int) -> None:
        self._workers = max(workers, 1)
        self._tasks = ThreadPoolExecutor(self._workers)

    def __enter__(self) -> "ThreadExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.shutdown(cancel_futures=True)

    def unwrapped(self) -> AbstractContextManager[None]:
        return nullcontext()

    def put(self, value: object) -> object:
        return delayed(value, pure=False, traverse=False)

    def submit(self, graph: Any) -> Reference:
        return self._tasks.submit(lambda: compute(graph, scheduler="synchronous")[0])

    def gather(self, graphs: Sequence[Any]) -> list[Any]:
        return self.get([self.submit(graph) for graph in graphs])

    def start_actor(self, kind: type, spec: object, *, memory_bytes: int | None, gpu: bool) -> ActorThread:
        del memory_bytes, gpu  # of this machine, which the plan looked at
        return ActorThread(kind, spec)

    def call(self, actor: ActorThread, method: str, *arguments: object) -> Reference:
        return actor.call(method, arguments)

    def wait(self, references: Sequence[Reference], timeout: float | None = None) -> Reference | None:
        return next(iter(wait(references, timeout, return_when=FIRST_COMPLETED).done), None)

    def get(self, references: Sequence[Reference], timeout: float | None = None) -> list[Any]:
        return [reference.result(timeout) for reference in references]

    def end_actor(self, actor: ActorThread) -> None:
        actor.end()

    def describe_room(self) -> str:
        return "this process"

    def processors(self) -> int:
        return self._workers

    def gpus(self) -> float:
        return 0.0
