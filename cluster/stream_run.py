"""StreamRun: a build or a change of a model without a ledger, from the last checkpoint to the end.

Covers: shards in memory to which every batch goes, checkpoints. Does not cover: models with a ledger (sorted_run.py),
starting again after a lost process or node (run.py), the directory (workspace.py), one split's way to the shards
(feed.py).

The published memory is one matrix of float sums: each shard holds some of its rows, and needs all tokens.
"""

from typing import Any

from cluster.executor import Executor
from cluster.feed import Feed
from cluster.placement import Placed, device_for, place_shards, release, reserved_bytes, wait_until_ready
from cluster.run import Run, log
from cluster.run_state import Held
from cluster.work import KeptList, Work
from cluster.workspace import Workspace
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.manifest import Manifest
from memo_dist.planning.memory_plan import MemoryPlan

_MOST_UNDER_WAY = 32  # splits


class StreamRun(Run):
    """Every attempt starts shards from the last checkpoint and feeds what that lacks."""

    def _attempt(self) -> Manifest:
        held, applied = self._checkpoint_before()
        self._begin(held)
        placed = self._place()
        try:
            splits = self._feed(placed, applied)
            splits.fill()
            self._wait_until_ready(placed)
            self.clock.lap("start")
            manifest = self._work(splits, placed)
            self.shard_peaks = self.executor.get([self.executor.call(one.actor, "peak_bytes") for one in placed])
            return manifest
        finally:
            release(placed, self.executor)

    def _feed(self, placed: list[Placed], applied: set[str]) -> Feed:
        """The splits that the last checkpoint lacks, on their way to the shards."""
        call = "forget" if self.task.forgets else "memorize"
        limit = _most_under_way(self.work, self.prepared.plan)
        graphs = self.work.graphs(applied, self.executor)
        return Feed(graphs, placed, executor=self.executor, limit=limit, call=call)

    def _work(self, splits: Feed, placed: list[Placed]) -> Manifest:
        self.state.shards_are_up()
        for answers in splits:
            self._count(answers)
            if splits.unfinished and (self.stop.requested or self.state.checkpoint_is_due):
                for late in splits.drain():
                    self._count(late)
                self.clock.lap("memorize")
                self._write(placed)
                if self.stop.requested:
                    raise self._stopped()
        self.clock.lap("memorize")
        return self._write(placed)

    def _count(self, answers: list[Any]) -> None:
        self.state.count(answers)
        self.kept.count(answers)
        self.on_progress(self.state.progress)

    def _write(self, placed: list[Placed]) -> Manifest:
        """Have every shard write a file, then make the files the checkpoint. No batch is under way."""
        progress, written = self.state.progress, write_shards(placed, self.workspace, self.executor)
        manifest = self._checkpoint(self.prepared.plan.config, written, self.kept)
        self.state.checkpointed()
        self.clock.lap("write")
        log.info("checkpoint %d: %d of %d splits", self.state.checkpoints, progress.splits_done, progress.splits)
        return manifest

    def _checkpoint_before(self) -> tuple[Held, set[str]]:
        """What an attempt begins with, and the ids of the batches of this run that are in it."""
        base = self.task.base
        if not self.workspace.has_checkpoint:
            self.kept = KeptList([] if base is None else base.batches)
            return (Held() if base is None else Held(tokens=base.tokens, documents=base.documents)), set()
        with self.workspace.stored() as stored:
            manifest, applied = stored.manifest, stored.require_working().applied()
        self.kept = KeptList(manifest.batches)
        return Held.of(manifest), applied

    def _place(self) -> list[Placed]:
        plan, tokenizer = self.prepared.plan, self.prepared.choice.tokenizer
        return place_shards(
            plan.config,
            plan.shards,
            tokenizer,
            executor=self.executor,
            memory_bytes=reserved_bytes(plan.shard_bytes, self.resources.address),
            device=device_for(self.resources.device, plan.shards, self.executor),
            path=self._begins_from(),
        )

    def _wait_until_ready(self, placed: list[Placed]) -> None:
        try:
            wait_until_ready(placed, self.executor)
        except DamagedMemoryError as error:
            if not self.workspace.has_checkpoint:
                raise
            path = self.workspace.path
            raise DamagedMemoryError(f"{error}. It is of a stopped build: remove {path} to start anew") from error

    def _begins_from(self) -> str | None:
        """The memory that shards are filled from: the last checkpoint, else the one that is changed, else none."""
        if self.workspace.has_checkpoint:
            return str(self.workspace.path.absolute())
        return str(self.workspace.out.absolute()) if self.task.base is not None else None


def write_shards(placed: list[Placed], workspace: Workspace, executor: Executor) -> list[Any]:
    """Have every shard write its file for the next checkpoint; their records and banks' digests, in bank order."""
    targets = [str((workspace.path / name).absolute()) for name in workspace.shard_files(len(placed))]
    asked = zip(placed, targets, strict=True)
    return executor.get([executor.call(one.actor, "write", target) for one, target in asked])


def _most_under_way(work: Work, plan: MemoryPlan) -> int:
    """Splits under way: enough that workers go on while shards merge, in a quarter of the object store."""
    return max(2 * plan.workers, min(_MOST_UNDER_WAY, plan.store_bytes // 4 // work.batch_bytes(plan.tokens)))
