"""Run: the work of a build, attempt by attempt, from the last checkpoint to the end.

Covers: feeding shards, checkpoints, stopping when asked, starting again after a lost process or node. Does not cover:
the directory (workspace.py), one unit's way to the shards (feed.py).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import ray

from cluster.feed import Feed
from cluster.placement import Placed, place_shards, release, wait_until_ready
from cluster.prepare import Prepared
from cluster.ray_session import ClusterError, NoRoomError, unwrapped
from cluster.signals import StopRequest
from cluster.workspace import Workspace
from memo_dist.device.backend import array_module
from memo_dist.errors import DamagedMemoryError, MemoError
from memo_dist.files.manifest import Manifest
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.batching import EVERYTHING, Selection, delayed_batches
from pipelines.plan import CorpusPlan

_MAX_WINDOW = 32
_LOSSES = 3  # lost processes or nodes without a checkpoint in between, after which a build gives up


class StoppedError(MemoError, RuntimeError):
    """The build was asked to stop, and can go on from its checkpoint. The exit code is EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


@dataclass
class Progress:
    """How far a build is; handed to the caller after every unit. `units_before` were done by earlier attempts."""

    units: int
    units_before: int = 0
    units_done: int = 0
    tokens: int = 0
    documents: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0


class Clock:
    """Seconds by stage, in the order in which stages end; a stage entered again adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class RunOptions(Protocol):
    """What a run needs of the options of a build or a change."""

    @property
    def device(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def scratch(self) -> Path | None: ...
    @property
    def checkpoint_every(self) -> float: ...


@dataclass(frozen=True)
class Task:
    """What a run does with the documents of its units.

    Attributes:
        action: for the journal.
        sign: 1 memorizes, -1 forgets.
        base: the manifest of the memory that is changed; None for a new one.
        selection: the documents taken.
    """

    action: str = "build"
    sign: int = 1
    base: Manifest | None = None
    selection: Selection = EVERYTHING


BUILD = Task()


class Run:
    """Every attempt starts shards from the last checkpoint and feeds what that lacks.

    Attributes:
        progress: of all attempts together.
        units_before: done before the first of them. checkpoints, losses: of them.
        shard_peaks: bytes, of the last attempt's shards.
    """

    def __init__(
        self,
        prepared: Prepared,
        options: RunOptions,
        workspace: Workspace,
        clock: Clock,
        stop: StopRequest,
        on_progress: Callable[[Progress], None],
        task: Task = BUILD,
    ) -> None:
        self.task = task
        self.prepared, self.options, self.workspace = prepared, options, workspace
        self.clock, self.stop, self.on_progress = clock, stop, on_progress
        self.progress = Progress(len(prepared.corpus.units))
        self.units_before = self.checkpoints = self.losses = 0
        self.shard_peaks: list[int] = []
        self._first = True

    def to_the_end(self, inputs: list[str]) -> Manifest:
        """Run until every unit is in a checkpoint, starting again when a process or node is lost."""
        fruitless = 0
        while True:
            before = self.checkpoints
            try:
                with unwrapped():
                    return self._attempt(inputs)
            except ClusterError as error:
                if isinstance(error, NoRoomError) and not self.losses:
                    raise  # it was so from the start; waiting does not help
                self.losses += 1
                fruitless = 0 if self.checkpoints > before else fruitless + 1
                if fruitless >= _LOSSES:
                    raise

    def _attempt(self, inputs: list[str]) -> Manifest:
        applied = self._recall_progress()
        placed = self._place()
        try:
            tokenizer = ray.put(self.prepared.choice.tokenizer)
            corpus, plan = self.prepared.corpus, self.prepared.plan
            left = [unit for unit in corpus.units if unit.batch_id not in applied]
            selection = ray.put(self.task.selection)
            graphs = delayed_batches(
                left,
                corpus.options,
                tokenizer=tokenizer,
                context_length=plan.config.context_length,
                selection=selection,
            )
            feed = Feed(graphs, placed, _window(corpus, plan), self.task.sign)
            feed.fill()
            self._wait_until_ready(placed)
            self.clock.lap("start")
            manifest = self._memorize(feed, placed, inputs)
            self.shard_peaks = ray.get([one.actor.peak_bytes.remote() for one in placed])
            return manifest
        finally:
            release(placed)

    def _memorize(self, feed: Feed, placed: list[Placed], inputs: list[str]) -> Manifest:
        due = time.monotonic() + self.options.checkpoint_every
        for answers in feed:
            self._count(answers)
            if feed.unfinished and (self.stop.requested or time.monotonic() >= due):
                for late in feed.drain():
                    self._count(late)
                self.clock.lap("memorize")
                self._checkpoint(placed, inputs)
                due = time.monotonic() + self.options.checkpoint_every
                if self.stop.requested:
                    raise StoppedError(
                        f"stopped as asked, with {self.progress.units_done} of {self.progress.units} units done"
                    )
        self.clock.lap("memorize")
        return self._checkpoint(placed, inputs)

    def _count(self, answers: list[Any]) -> None:
        progress = self.progress
        progress.units_done += 1
        progress.tokens += self.task.sign * sum(a.tokens for a in answers)
        progress.documents += self.task.sign * sum(a.documents for a in answers)
        progress.skipped += answers[0].skipped
        progress.replaced += answers[0].replaced
        progress.empty += answers[0].empty
        self.on_progress(progress)

    def _checkpoint(self, placed: list[Placed], inputs: list[str]) -> Manifest:
        """Have every shard write a file, then make the files the checkpoint. No batch is under way."""
        targets = [str((self.workspace.path / name).absolute()) for name in self.workspace.shard_files(len(placed))]
        written = ray.get([one.actor.write.remote(target) for one, target in zip(placed, targets, strict=True)])
        progress = self.progress
        entry: dict[str, Any] = {
            "action": self.task.action,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": inputs,
            "files": self.prepared.corpus.files,
            "units": progress.units,
            "units_done": progress.units_done,
            "skipped": progress.skipped,
            "replaced": progress.replaced,
            "empty": progress.empty,
        }
        if self.prepared.repetition is not None:
            entry["repetition"] = self.prepared.repetition.to_dict()
        journal = [*(self.task.base.sources if self.task.base else []), entry]
        manifest = self.workspace.commit(
            self.prepared.plan.config, written, progress.tokens, progress.documents, journal
        )
        self.checkpoints += 1
        self.clock.lap("write")
        return manifest

    def _recall_progress(self) -> set[str]:
        """Start counting from the last checkpoint; returns the batch ids that it holds."""
        self.progress = Progress(len(self.prepared.corpus.units))
        if not self.workspace.resumable:
            if self.task.base is not None:
                self.progress.tokens, self.progress.documents = self.task.base.tokens, self.task.base.documents
            return set()
        with self.workspace.stored() as stored:
            manifest, applied = stored.manifest, stored.applied()
        source = manifest.sources[-1]
        self.progress.units_done = self.progress.units_before = source["units_done"]
        self.progress.tokens, self.progress.documents = manifest.tokens, manifest.documents
        for name in ("skipped", "replaced", "empty"):
            setattr(self.progress, name, source[name])
        if self._first:
            self.units_before, self._first = source["units_done"], False
        return applied

    def _place(self) -> list[Placed]:
        self._first = False
        plan, tokenizer = self.prepared.plan, self.prepared.choice.tokenizer
        return place_shards(
            plan,
            tokenizer.hash if tokenizer else "",
            plan.max_associations,
            _device(self.options.device, plan.shards),
            path=self._begins_from(),
            by_memory=self.options.address is not None,
            scratch=self.options.scratch or self.workspace.path,
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


def _device(asked: str, shards: int) -> str:
    """ "auto" is "gpu" where CuPy finds one here and the cluster has one for every shard."""
    if asked != "auto":
        return asked
    enough = ray.cluster_resources().get("GPU", 0) >= shards
    return "gpu" if enough and array_module("auto").__name__ == "cupy" else "cpu"


def _window(corpus: CorpusPlan, plan: MemoryPlan) -> int:
    """Units under way: enough that workers go on while shards merge, in a quarter of the object store."""
    batch = 4 * max(1, corpus.largest_unit * plan.tokens // max(corpus.text_bytes, 1))
    return max(2 * plan.workers, min(_MAX_WINDOW, plan.store_bytes // 4 // batch))
