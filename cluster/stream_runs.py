"""StreamRuns: the streams of a run, and the runs that their tasks make while they are under way.

Covers: a task for each stream, what is made before it ends, ending it early. Does not cover: what the task does
(run_tasks.py), the order of tasks (run_maker.py).

The task of a stream may take hours, and its runs are there one by one: the driver knows their names, and looks for the
next one of every stream that is under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.executor import Executor
from cluster.run_tasks import RunTasks
from cluster.work import Work
from memo_dist.runs.run_folder import RunRecord
from pipelines.splits import Split


class StreamRuns:
    """The streams of a run.

    Args:
        tasks: makes their graphs.
        work: whose streams these are.
    """

    def __init__(self, tasks: RunTasks, work: Work) -> None:
        self.tasks, self._work = tasks, work
        self._count = sum(1 for _ in work.streams())
        self._next: list[tuple[Split, int]] = []  # of streams that were begun and have not ended: their next batch
        self._ended = set[str]()  # names of last batches

    def __len__(self) -> int:
        return self._count

    @property
    def unfinished(self) -> bool:
        """Whether there is a stream of which not all runs are made."""
        return len(self._ended) < self._count

    def graphs(self, encoder: object, executor: Executor) -> Iterator[object]:
        """A graph for each stream; whoever takes one begins it.

        Args:
            encoder: as an argument of graphs.
        """
        if not self._count:
            return
        tokenizer, selection = self._work.put_tokenizer(executor)
        for stream in self._work.streams():
            self._next.append((stream.split, 0))
            yield self.tasks.of_stream(stream, tokenizer=tokenizer, selection=selection, encoder=encoder)

    def note(self, records: list[RunRecord]) -> None:
        """Take in what a task has given."""
        self._ended.update(record.batch_id for record in records if record.last)

    def made(self) -> Iterator[RunRecord]:
        """The records of the runs that are there since the last call."""
        under_way, self._next = self._next, []
        for split, number in under_way:
            while record := self.tasks.made(split.part(number)):
                number += 1
                yield record
                if record.last:
                    self.note([record])
                    break
            else:
                self._next.append((split, number))

    def stop(self) -> None:
        """Let every task end after the batch that it is at."""
        if self._next:
            self.tasks.stopped.parent.mkdir(parents=True, exist_ok=True)
            self.tasks.stopped.touch()

    @contextmanager
    def stopped_at_the_end(self) -> Iterator[None]:
        """Around their work: however that ends, no task goes on; and one that is begun in it is not stopped yet."""
        self.tasks.stopped.unlink(missing_ok=True)
        try:
            yield
        finally:
            self.stop()
