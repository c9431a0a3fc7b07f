"""Run: the work of a build or a change, attempt by attempt, from the last checkpoint to the end.

Covers: what talks to Ray: shards, the feed, checkpoints, starting again after a lost process or node. Does not cover:
how far the run is and when it gives up (run_state.py), the directory (workspace.py), one unit's way to the shards
(feed.py).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from cluster import feed
from cluster.clock import Clock
from cluster.feed import Feed
from cluster.placement import Placed, device_for, place_shards, release, wait_until_ready
from cluster.prepare import Prepared
from cluster.ray_session import unwrapped
from cluster.resources import Resources
from cluster.run_state import Held, Progress, RunState
from cluster.signals import StopRequest
from cluster.workspace import Workspace
from memo_dist.errors import ClusterError, DamagedMemoryError, NoRoomError, StoppedError
from memo_dist.files.journal import TEXT_ENTRIES, TextEntry, now
from memo_dist.files.manifest import Manifest
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.batching import EVERYTHING, Selection, delayed_batches
from pipelines.plan import CorpusPlan

_MOST_UNDER_WAY = 32  # units
_log = logging.getLogger("memo_dist.cluster")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run does with the documents of its units.

    Attributes:
        action: for the journal: "build", "add" or "forget".
        base: the manifest of the memory that is changed; None for a new one.
        selection: the documents taken.
    """

    action: str = "build"
    base: Manifest | None = None
    selection: Selection = EVERYTHING

    @property
    def forgets(self) -> bool:
        """Whether the documents are taken out, not in."""
        return self.action == "forget"


BUILD = Task()


class Run:
    """Every attempt starts shards from the last checkpoint and feeds what that lacks.

    Args:
        on_progress: called after every unit.
        task: what is done with the documents.

    Attributes:
        state: counters of all attempts.
        shard_peaks: bytes, of the last attempt's shards.
    """

    def __init__(
        self,
        prepared: Prepared,
        workspace: Workspace,
        *,
        resources: Resources,
        clock: Clock,
        stop: StopRequest,
        on_progress: Callable[[Progress], None],
        task: Task = BUILD,
    ) -> None:
        self.prepared, self.workspace, self.task = prepared, workspace, task
        self.resources, self.clock, self.stop, self.on_progress = resources, clock, stop, on_progress
        self.state = RunState(
            len(prepared.corpus.units), forgets=task.forgets, checkpoint_every=resources.checkpoint_every
        )
        self.shard_peaks: list[int] = []

    def to_the_end(self) -> Manifest:
        """Run until every unit is in a checkpoint, starting again when a process or node is lost.

        Raises:
            StoppedError: a stop was asked for; everything done is in a checkpoint.
            ClusterError: processes or nodes are lost again and again, or there is no room for the shards.
            MemoError: a worker or a shard met something that another attempt would meet, too.
        """
        while True:
            try:
                with unwrapped():
                    return self._attempt()
            except ClusterError as error:
                if not self.state.goes_on_after_loss(no_room=isinstance(error, NoRoomError)):
                    raise
                _log.warning("loss %d, starting again from the last checkpoint: %s", self.state.losses, error)

    def _attempt(self) -> Manifest:
        held, applied = self._checkpoint_before()
        self.state.begin(held)
        what = f"{self.task.action} of {self.workspace.out}, attempt {self.state.attempts}"
        _log.info("%s: %d of %d units are done", what, held.units_done, self.state.progress.units)
        placed = self._place()
        try:
            units = self._feed(placed, applied)
            units.fill()
            self._wait_until_ready(placed)
            self.clock.lap("start")
            manifest = self._work(units, placed)
            self.shard_peaks = ray.get([one.actor.peak_bytes.remote() for one in placed])
            _log.info("end: %d tokens in %d documents, digest %s", manifest.tokens, manifest.documents, manifest.digest)
            return manifest
        finally:
            release(placed)

    def _feed(self, placed: list[Placed], applied: set[str]) -> Feed:
        """The units that the last checkpoint lacks, on their way to the shards."""
        corpus, plan = self.prepared.corpus, self.prepared.plan
        graphs = delayed_batches(
            [unit for unit in corpus.units if unit.batch_id not in applied],
            corpus.options,
            tokenizer=ray.put(self.prepared.choice.tokenizer),
            context_length=plan.config.context_length,
            selection=ray.put(self.task.selection),
        )
        call = feed.forget if self.task.forgets else feed.memorize
        return Feed(graphs, placed, limit=_most_under_way(corpus, plan), call=call)

    def _work(self, units: Feed, placed: list[Placed]) -> Manifest:
        self.state.shards_are_up()
        for answers in units:
            self._count(answers)
            if units.unfinished and (self.stop.requested or self.state.checkpoint_is_due):
                for late in units.drain():
                    self._count(late)
                self.clock.lap("memorize")
                self._checkpoint(placed)
                if self.stop.requested:
                    progress = self.state.progress
                    raise StoppedError(f"stopped as asked, with {progress.units_done} of {progress.units} units done")
        self.clock.lap("memorize")
        return self._checkpoint(placed)

    def _count(self, answers: list[Any]) -> None:
        self.state.count(answers)
        self.on_progress(self.state.progress)

    def _checkpoint(self, placed: list[Placed]) -> Manifest:
        """Have every shard write a file, then make the files the checkpoint. No batch is under way."""
        progress = self.state.progress
        manifest = self.workspace.checkpoint(
            self.prepared.plan.config,
            write_shards(placed, self.workspace),
            tokens=progress.tokens,
            documents=progress.documents,
            journal=[*(self.task.base.sources if self.task.base else []), self._entry()],
        )
        self.state.checkpointed()
        self.clock.lap("write")
        _log.info("checkpoint %d: %d of %d units", self.state.checkpoints, progress.units_done, progress.units)
        return manifest

    def _entry(self) -> TextEntry:
        """This run's entry of the journal, as far as the run is."""
        progress = self.state.progress
        return TEXT_ENTRIES[self.task.action](
            when=now(),
            inputs=self.prepared.statement.inputs,
            files=self.prepared.corpus.files,
            units=progress.units,
            units_done=progress.units_done,
            skipped=progress.skipped,
            replaced=progress.replaced,
            empty=progress.empty,
            repetition=self.prepared.repetition,
        )

    def _checkpoint_before(self) -> tuple[Held, set[str]]:
        """What an attempt begins with, and the ids of the batches of this run that are in it."""
        base = self.task.base
        if not self.workspace.resumable:
            return (Held() if base is None else Held(tokens=base.tokens, documents=base.documents)), set()
        with self.workspace.stored() as stored:
            manifest, applied = stored.manifest, stored.require_working().applied()
        entry = manifest.sources[-1]
        assert isinstance(entry, TextEntry)  # a checkpoint's last entry is that of the run which wrote it
        held = Held(
            tokens=manifest.tokens,
            documents=manifest.documents,
            units_done=entry.units_done,
            skipped=entry.skipped,
            replaced=entry.replaced,
            empty=entry.empty,
        )
        return held, applied

    def _place(self) -> list[Placed]:
        plan, tokenizer = self.prepared.plan, self.prepared.choice.tokenizer
        return place_shards(
            plan,
            tokenizer.hash if tokenizer else "",
            max_associations=plan.max_associations,
            device=device_for(self.resources.device, plan.shards),
            path=self._begins_from(),
            by_memory=self.resources.address is not None,
            scratch=self.resources.scratch or self.workspace.path,
        )

    def _wait_until_ready(self, placed: list[Placed]) -> None:
        try:
            wait_until_ready(placed)
        except DamagedMemoryError as error:
            if not self.workspace.resumable:
                raise
            path = self.workspace.path
            raise DamagedMemoryError(f"{error}. It is of a stopped build: remove {path} to start anew") from error

    def _begins_from(self) -> str | None:
        """The memory that shards are filled from: the last checkpoint, else the one that is changed, else none."""
        if self.workspace.resumable:
            return str(self.workspace.path.absolute())
        return str(self.workspace.out.absolute()) if self.task.base is not None else None


def write_shards(placed: list[Placed], workspace: Workspace) -> list[Any]:
    """Have every shard write its file for the next checkpoint; their records and banks' digests, in bank order."""
    targets = [str((workspace.path / name).absolute()) for name in workspace.shard_files(len(placed))]
    written: list[Any] = ray.get([one.actor.write.remote(target) for one, target in zip(placed, targets, strict=True)])
    return written


def _most_under_way(corpus: CorpusPlan, plan: MemoryPlan) -> int:
    """Units under way: enough that workers go on while shards merge, in a quarter of the object store."""
    batch = 4 * max(1, corpus.largest_unit * plan.tokens // max(corpus.text_bytes, 1))
    return max(2 * plan.workers, min(_MOST_UNDER_WAY, plan.store_bytes // 4 // batch))
