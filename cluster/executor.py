"""Executor: where tasks and actors of a command run; the one thing that the driver asks for work.

Covers: what an executor must do. Does not cover: Ray (ray_executor.py), threads of this process (thread_executor.py),
which of the two a command takes (session.py).

A reference stands for a value that is not there yet; whoever is given one as an argument gets the value.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Reference = Any
Actor = Any


class Executor(Protocol):
    """Runs Dask graphs, and owns actors."""

    def unwrapped(self) -> AbstractContextManager[None]:
        """Within it, what tasks and actors raise comes out as they raised it.

        Raises:
            ClusterError: a process or a node was lost. BudgetError: one was ended for the memory that it took.
        """
        ...

    def put(self, value: object) -> object:
        """A value that many tasks share, as an argument of Dask graphs."""
        ...

    def submit(self, graph: Any) -> Reference:
        """Start a Dask graph."""
        ...

    def gather(self, graphs: Sequence[Any]) -> list[Any]:
        """Run Dask graphs; their values, once all are there."""
        ...

    def start_actor(self, kind: type, spec: object, *, memory_bytes: int | None, gpu: bool) -> Actor:
        """Start an object of a class, made of a spec, without waiting for it.

        Args:
            memory_bytes: that must be free where it runs; None: that is not looked at.
            gpu: whether it needs one of its own.
        """
        ...

    def call(self, actor: Actor, method: str, *arguments: object) -> Reference:
        """Ask an actor for something; calls of one actor are answered one by one, in their order."""
        ...

    def wait(self, references: Sequence[Reference], timeout: float | None = None) -> Reference | None:
        """One of the references whose value is there, or has failed, as soon as there is one; None after so many
        seconds without."""
        ...

    def get(self, references: Sequence[Reference], timeout: float | None = None) -> list[Any]:
        """The values.

        Raises:
            TimeoutError: they are not there after so many seconds. Whatever a task or an actor raised.
        """
        ...

    def end_actor(self, actor: Actor) -> None:
        """End an actor and give its memory back."""
        ...

    def describe_room(self) -> str:
        """What is free, in words."""
        ...

    def processors(self) -> int:
        """How many processors there are for tasks now; at least 1. On a cluster nodes come and go."""
        ...

    def gpus(self) -> float:
        """How many GPUs there are for shards."""
        ...
