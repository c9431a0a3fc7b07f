"""RunMaker: graphs of runs -> their records, a bounded number under way.

Covers: back-pressure, a stop, tasks that take far longer than others. Does not cover: the graphs (run_tasks.py), lost
processes (sorted_run.py).

How many are under way follows from the processors that there are now, so that nodes may come and go. Towards the end,
when no other is left to begin, a task that takes far longer than most is begun a second time, elsewhere: both make the
same run, and the first to be done counts.
"""

import logging
import statistics
import time
from collections.abc import Callable, Iterator

from cluster.executor import Executor, Reference
from cluster.signals import StopRequest
from memo_dist.runs.run_folder import RunRecord

_STEP_SECONDS = 1.0  # between looks at what else may be asked for
PATIENCE_SECONDS = 20.0  # that a stop waits for tasks under way: batch systems kill after 30 to 90
_SLOW_SECONDS, _SLOW_TIMES = 30.0, 4.0  # a task is slow after so long, and so many times the median
_log = logging.getLogger("memo_dist.cluster")


class RunMaker:
    """Runs each graph.

    Args:
        graphs: of the runs that are missing.
        streams: how many of the first graphs are those of streams, which take their time.
        most: runs under way at a time, whatever processors there are.
        now: a clock in seconds.

    Attributes:
        unfinished: whether a graph is left that was not run to its end, once the iteration is over.
    """

    def __init__(
        self,
        graphs: Iterator[object],
        *,
        executor: Executor,
        most: int,
        stop: StopRequest,
        streams: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graphs, self._executor, self._most, self._stop = enumerate(graphs), executor, most, stop
        self._now, self._exhausted, self._streams = now, False, streams
        self._under_way: dict[Reference, tuple[int, object, float]] = {}  # number, graph, when it was begun
        self._twice, self._took = set[int](), list[float]()

    @property
    def unfinished(self) -> bool:
        return bool(self._under_way) or not self._exhausted

    def __iter__(self) -> Iterator[list[RunRecord]]:
        """The records of each graph, in the order in which they are made, and nothing every second without; ends early
        if a stop is asked for."""
        patience = PATIENCE_SECONDS
        while True:
            self._fill()
            if not self._under_way:
                return
            reference = self._executor.wait(list(self._under_way), _STEP_SECONDS)
            yield [] if reference is None else self._done(reference)
            if reference is not None:
                continue
            if self._stop.requested:
                patience -= _STEP_SECONDS
                if patience <= 0:  # what is under way is made again by the next attempt
                    return
            elif self._exhausted:
                self._begin_slow_ones_again()

    def _fill(self) -> None:
        limit = min(self._most, 2 * self._executor.processors())
        while len(self._under_way) < limit and not self._exhausted and not self._stop.requested:
            number, graph = next(self._graphs, (-1, None))
            if graph is None:
                self._exhausted = True
            else:
                self._begin(number, graph)

    def _begin(self, number: int, graph: object) -> None:
        self._under_way[self._executor.submit(graph)] = number, graph, self._now()

    def _done(self, reference: Reference) -> list[RunRecord]:
        (records,) = self._executor.get([reference])
        number, _, began = self._under_way.pop(reference)
        if number >= self._streams:
            self._took.append(self._now() - began)
        for other in [one for one, (same, *_) in self._under_way.items() if same == number]:
            del self._under_way[other]  # it makes what is there
        made: list[RunRecord] = records
        return made

    def _begin_slow_ones_again(self) -> None:
        if not self._took:
            return
        slow = max(_SLOW_SECONDS, _SLOW_TIMES * statistics.median(self._took))
        for number, graph, began in list(self._under_way.values()):
            if number >= self._streams and number not in self._twice and self._now() - began > slow:
                self._twice.add(number)
                _log.warning("a run takes %.0f s, most took %.0f: begun a second time", self._now() - began, slow)
                self._begin(number, graph)
