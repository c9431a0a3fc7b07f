"""Run: a build or a change, attempt after attempt.

Covers: what every run is made of, starting again after a lost process or node, handing its files to the workspace.
Does not cover: an attempt (sorted_run.py, stream_run.py), when a run gives up (run_state.py).
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from cluster.clock import Clock
from cluster.executor import Executor
from cluster.prepare import Prepared
from cluster.progress_file import ProgressFile
from cluster.progress_metrics import watched
from cluster.resources import Resources
from cluster.run_state import Held, Progress, RunState
from cluster.signals import StopRequest
from cluster.task import Task
from cluster.work import KeptList, Work
from cluster.workspace import Workspace, Written
from memo_dist.batches import Reject
from memo_dist.errors import ClusterEndedError, ClusterError, NoRoomError, StoppedError
from memo_dist.files.manifest import Manifest
from memo_dist.memory_config import MemoryConfig

log = logging.getLogger("memo_dist.cluster")


class Run(ABC):
    """What attempts have in common.

    Args:
        work: the splits, and the tasks that make their batches.
        executor: where tasks and actors run.
        on_progress: called after every split and every file.
        task: what is done with the documents.

    Attributes:
        state: counters of all attempts.
        shard_peaks: bytes, of the last attempt's actors.
        rejects: documents that were left out, of those that are named.
    """

    def __init__(
        self,
        prepared: Prepared,
        workspace: Workspace,
        work: Work,
        *,
        executor: Executor,
        resources: Resources,
        clock: Clock,
        stop: StopRequest,
        on_progress: Callable[[Progress], None],
        task: Task,
    ) -> None:
        self.prepared, self.workspace, self.work, self.task = prepared, workspace, work, task
        self.executor = executor
        self.resources, self.clock, self.stop, self.on_progress = resources, clock, stop, on_progress
        self.state = RunState(work.splits, forgets=task.forgets, checkpoint_every=resources.checkpoint_every)
        self.shard_peaks: list[int] = []
        self.rejects = set[Reject]()

    def to_the_end(self) -> Manifest:
        """Run until the memory's files are there, starting again when a process or node is lost.

        Raises:
            StoppedError: a stop was asked for; what is done is kept.
            ClusterError: processes or nodes are lost again and again, or there is no room for the actors.
            MemoError: a task or an actor met something that another attempt would meet, too.
        """
        progress = ProgressFile(self.workspace.path, self.task.action, self.state)
        with watched(progress, self.resources):
            manifest = self._attempts()
        ends = manifest.tokens, manifest.documents, manifest.digest
        log.info("end: %d tokens in %d documents, digest %s", *ends)
        return manifest

    def _attempts(self) -> Manifest:
        while True:
            try:
                with self.executor.unwrapped():
                    return self._attempt()
            except ClusterError as error:
                if self.stop.requested or isinstance(error, ClusterEndedError):
                    raise
                if not self.state.goes_on_after_loss(no_room=isinstance(error, NoRoomError)):
                    raise
                log.warning("loss %d, going on with what is there: %s", self.state.losses, error)

    @abstractmethod
    def _attempt(self) -> Manifest:
        """Do what is missing; the manifest of the memory, not yet published."""

    def _begin(self, held: Held) -> None:
        """Begin an attempt with what is done."""
        self.state.begin(held)
        what = f"{self.task.action} of {self.workspace.out}, attempt {self.state.attempts}"
        log.info("%s: %d of %d splits are done", what, held.splits_done, self.state.progress.splits)

    def _stopped(self) -> StoppedError:
        progress = self.state.progress
        return StoppedError(f"stopped as asked, with {progress.splits_done} of {progress.splits} splits done")

    def _checkpoint(self, config: MemoryConfig, written: Written, kept: KeptList) -> Manifest:
        """Make files that were written the workspace's memory."""
        progress = self.state.progress
        return self.workspace.checkpoint(
            config,
            written,
            tokens=progress.tokens,
            documents=progress.documents,
            journal=self.task.journal(self.prepared, self.work.files, progress),
            batches=kept.records if self.task.keeps_tokens else None,
        )
