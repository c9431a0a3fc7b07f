"""Processes that do the same work at the same time, stage by stage, for measuring.

Covers: starting them, keeping them in step, how long each stage takes. Does not cover: what they do (bench.py), the
processes of a build (cluster).
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from memo_dist.extras import extra

Work = Callable[[Any], Iterator[Any]]


@dataclass(frozen=True)
class Stage:
    """One stage of all processes.

    Attributes:
        seconds: until the last process was done.
        cpu_seconds: that processors worked for the processes, all together; fewer than the processes' seconds where
            other programs took processors away.
        results: what the processes yielded, in their order.
    """

    seconds: float
    cpu_seconds: float
    results: list[Any]


def run_together(work: Work, arguments: list[Any]) -> list[Stage]:
    """Run the generator function `work` in one process for each argument, with one BLAS thread each.

    Everything up to a `yield` is a stage. All processes begin a stage together, once each has ended the stage before.
    What a process yields comes back pickled, outside the time.

    Raises:
        RuntimeError: a process ended early; its own error is on stderr.
    """
    context = get_context("spawn")  # a fork would copy threads' locks
    pipes = [context.Pipe() for _ in arguments]
    children = [
        context.Process(target=_child, args=(work, argument, theirs), daemon=True)
        for argument, (_, theirs) in zip(arguments, pipes, strict=True)
    ]
    try:
        for child, (_, theirs) in zip(children, pipes, strict=True):
            child.start()
            theirs.close()  # so that a dead child is the end of its pipe
        return list(_stages([ours for ours, _ in pipes]))
    except (EOFError, OSError) as error:
        raise RuntimeError(f"a measuring process ended early: {error!r}") from error
    finally:
        for child, (ours, _) in zip(children, pipes, strict=True):
            ours.close()
            child.terminate()
            child.join()


def _stages(pipes: list[Connection]) -> Iterator[Stage]:
    while True:
        for pipe in pipes:
            pipe.send(None)
        answers = [pipe.recv() for pipe in pipes]
        if any(answer is None for answer in answers):
            return
        seconds, cpu, results = zip(*answers, strict=True)
        yield Stage(max(seconds), sum(cpu), list(results))


def _child(work: Work, argument: Any, pipe: Connection) -> None:
    with extra():
        from threadpoolctl import threadpool_limits  # not of the base install
    threadpool_limits(1)
    stages = work(argument)
    while True:
        pipe.recv()
        began, worked = time.perf_counter(), time.process_time()
        try:
            result = next(stages)
        except StopIteration:
            pipe.send(None)
            return
        pipe.send((time.perf_counter() - began, time.process_time() - worked, result))


def median_seconds(work: Callable[[], object], repeat: int = 3) -> float:
    """The median time of `repeat` calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
