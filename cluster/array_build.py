"""A build as an array: a plan, then tasks that share nothing but a directory, then the end. No Ray, no driver.

Covers: plan-build, make-runs, merge-runs, finish. Does not cover: one task's work (array_run.py), what they have in
common (array_plan.py).

    plan-build    once: sources, tokenizer, shape                               build.json, tokenizer.json, array.json
    make-runs     task I of N: splits I, I + N, ... become sorted runs          runs/
    merge-runs    task I of N, once all runs are there: files I, I + N, ...     shard files, merged/
    finish        once, when all files are there                                M.memo
Each may be run again, and twice at once: what is there is not made again, and two that make one thing make the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.array_plan import ArrayPlace, ArrayPlan, Share
from cluster.array_run import MAKES, MERGES, TaskRun
from cluster.clock import Clock
from cluster.compared import documents_held
from cluster.memory_watch import MemoryWatch
from cluster.prepare import BuildOptions, prepare
from cluster.progress_metrics import watched
from cluster.rejects import write_rejects
from cluster.resources import NO_CLUSTER, Resources
from cluster.room import require_disk
from cluster.run_state import Progress
from cluster.session import session
from cluster.signals import end_on_sigterm, stop_on_sigterm
from cluster.workspace import Workspace, kept_or_removed, unfinished_statement
from memo_dist.document_identities import repeated_ids
from memo_dist.errors import ConfigError, MemoError
from memo_dist.files.staging import refuse_existing
from memo_dist.models import model_named
from memo_dist.planning.fit import require_budget
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.plan import CorpusPlan

FILES = 16  # of a memory: the most tasks that merge at a time
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """What is planned.

    Attributes:
        splits: of the corpus, of which each task makes some; of streams, about. files: of the memory, likewise.
        planned_banks: as a sample lets expect. task_peak_bytes: of a task on a machine like this one.
        run_bytes, disk_bytes: of the shared directory, meanwhile and in the end.
        planned_before: whether an attempt before had made the plan.
    """

    out: str
    splits: int
    files: int
    tokens: int
    documents: int
    planned_banks: int
    task_peak_bytes: int
    run_bytes: int
    disk_bytes: int
    planned_before: bool
    tokenizer_losses: list[str]


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """What a task has done.

    Attributes:
        items: of this task: runs, or files. before: those of them that were there.
        tokens, documents: of its runs; of all runs where it merges.
    """

    out: str
    task: int
    of: int
    items: int
    before: int
    tokens: int
    documents: int
    seconds: float
    peak_bytes: int
    planned_peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class FinishSummary:
    """What was built; see BuildSummary."""

    out: str
    digest: str
    tokens: int
    documents: int
    associations: int
    banks: int
    files: int
    skipped: int
    replaced: int
    empty: int
    repeated_ids: int
    kept_bytes: int
    bytes_on_disk: int
    seconds: float
    rejects: str | None


def plan_build(
    inputs: list[str],
    out: Path,
    options: BuildOptions,
    *,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
) -> PlanSummary:
    """Plan a build for the tasks of an array; a plan that is there, of the same, stays as it is.

    Raises:
        ConfigError: the model has no runs; what is there is of something else, or of another number of files.
        StoppedError: SIGTERM came. MemoError: the inputs or settings do not allow the build.
    """
    if not model_named(options.preset).has_ledger:
        raise ConfigError(f"--preset {options.preset} is built in one piece: memo-dist build makes it, not an array")
    refuse_existing(out)
    with end_on_sigterm():
        stopped = unfinished_statement(out)
        there = None if stopped is None else ArrayPlan.known(out)
        files = options.resources.shards or (FILES if there is None else there.files)
        if there is not None and there.files != files:
            raise ConfigError(
                f"--shards is {files}, but {out} is planned with {there.files} files; leave it out, or remove "
                f"{ArrayPlace(out).path} to plan anew"
            )
        here = replace(options.resources, shards=files, address=NO_CLUSTER)
        prepared = prepare(inputs, out, options=replace(options, resources=here), stopped=stopped)
        on_plan(prepared.corpus, prepared.plan)
        splits = prepared.corpus.splits.batches
        workspace = Workspace(out, prepared.statement, prepared.choice.tokenizer)
        with kept_or_removed(workspace):
            require_disk(workspace.path, prepared.plan)
            if stopped is None:  # of another plan that was made meanwhile, perhaps with another tokenizer
                workspace.discard()
            made = there or ArrayPlan.new(out, files=files, splits=splits)
    plan = prepared.plan
    return PlanSummary(
        out=str(out),
        splits=made.splits,
        files=min(made.files, plan.config.num_banks),
        tokens=plan.tokens,
        documents=prepared.choice.documents,
        planned_banks=plan.config.num_banks,
        task_peak_bytes=plan.peak_bytes,
        run_bytes=plan.run_bytes,
        disk_bytes=plan.disk_bytes,
        planned_before=there is not None,
        tokenizer_losses=list(prepared.choice.losses),
    )


def make_runs(
    out: Path, share: Share, resources: Resources, *, on_progress: OnProgress = lambda progress: None
) -> TaskSummary:
    """Make the runs of a task's splits that are not there.

    Raises:
        InputError: there is no plan. StoppedError: SIGTERM came; what was done is kept.
        FencedError: the plan is no longer there. MemoError: a source cannot be read, or has changed since.
    """
    clock = Clock()
    with _task(out, share, resources, on_progress=on_progress) as (run, watch), watched(run.record(MAKES), resources):
        runs = run.make_runs()
        state = run.state
    return _told(run, share, watch, clock=clock, items=len(runs), before=state.splits_before)


def merge_runs(
    out: Path, share: Share, resources: Resources, *, on_progress: OnProgress = lambda progress: None
) -> TaskSummary:
    """Make those files of a task that are not there, once the runs of all tasks are.

    Raises:
        UnfinishedError: runs are missing; the tasks that make them are named. Others: see `make_runs`.
    """
    clock = Clock()
    with _task(out, share, resources, on_progress=on_progress) as (run, watch), watched(run.record(MERGES), resources):
        files = run.merge_runs()
        made = run.state.checkpoints
    return _told(run, share, watch, clock=clock, items=files, before=files - made)


def finish(out: Path, resources: Resources) -> FinishSummary:
    """Make the files of all tasks the memory; the workspace goes.

    Raises:
        UnfinishedError: runs or files are missing; the tasks that make them are named.
        FencedError: another command took over. Others: see `make_runs`.
    """
    clock = Clock()
    with _task(out, Share(), resources) as (run, _):
        whole = run.whole()  # before the workspace is claimed: whoever comes too early is in nobody's way
        workspace = Workspace(out, run.prepared.statement, run.prepared.choice.tokenizer)
        with kept_or_removed(workspace):
            manifest = run.finish(workspace, whole)
            repeated = repeated_ids(documents_held(workspace))
            rejects = write_rejects(out, run.rejects)
            workspace.commit()
    progress = run.state.progress
    return FinishSummary(
        out=str(out),
        digest=manifest.digest,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        banks=manifest.config.num_banks,
        files=len(manifest.shards),
        skipped=progress.skipped,
        replaced=progress.replaced,
        empty=progress.empty,
        repeated_ids=repeated,
        kept_bytes=sum(batch.bytes for batch in manifest.batches),
        bytes_on_disk=sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
        seconds=_seconds(clock),
        rejects=None if rejects is None else str(rejects),
    )


@contextmanager
def _task(
    out: Path, share: Share, resources: Resources, *, on_progress: OnProgress = lambda progress: None
) -> Iterator[tuple[TaskRun, MemoryWatch]]:
    """A task, ready to work in threads of this process."""
    with end_on_sigterm():
        array = ArrayPlan.read(out)
        prepared = array.prepared(resources)
        require_budget(prepared.plan, prepared.budget)
        with stop_on_sigterm() as stop, MemoryWatch() as watch, session(resources, prepared.plan) as executor:
            run = TaskRun(
                array,
                share,
                prepared,
                workspace=ArrayPlace(out),
                executor=executor,
                resources=resources,
                clock=Clock(),
                stop=stop,
                on_progress=on_progress,
                keeps_tokens=prepared.statement.settings["keep_tokens"],
            )
            try:
                yield run, watch
            except (OSError, MemoError):  # what a task meets in a workspace that is gone is not what went wrong
                array.require()
                raise


def _told(run: TaskRun, share: Share, watch: MemoryWatch, *, clock: Clock, items: int, before: int) -> TaskSummary:
    progress = run.state.progress
    return TaskSummary(
        out=str(run.workspace.out),
        task=share.task,
        of=share.of,
        items=items,
        before=before,
        tokens=progress.tokens,
        documents=progress.documents,
        seconds=_seconds(clock),
        peak_bytes=watch.peak_bytes,
        planned_peak_bytes=run.prepared.plan.peak_bytes,
    )


def _seconds(clock: Clock) -> float:
    clock.lap("all")
    return round(clock.seconds["all"], 3)
