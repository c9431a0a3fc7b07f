"""The build: corpus -> plan -> shards -> checkpoints -> memory directory. Reads top to bottom.

Covers: one build, from nothing or from where a stopped one left off, on a local or a given Ray cluster. Does not cover:
what is fixed before it starts (prepare.py), feeding shards and lost processes (run.py), the directory that it grows in
(workspace.py).
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.actor import peak_resident_bytes
from cluster.prepare import BuildOptions, prepare
from cluster.ray_session import memory_budget, ray_session
from cluster.run import Clock, Progress, Run
from cluster.signals import stop_on_sigterm
from cluster.watch import MemoryWatch
from cluster.workspace import Workspace, unfinished_statement
from memo_dist.device.backend import array_module
from memo_dist.errors import StorageError
from memo_dist.files.staging import refuse_existing
from memo_dist.planning.memory_plan import MemoryPlan, require_budget
from memo_dist.sizes import show_bytes
from pipelines.plan import CorpusPlan


@dataclass(frozen=True)
class BuildSummary:
    """What was built, and what it took. `checkpoints` and `losses` are those of this attempt."""

    out: str
    digest: str
    tokens: int
    documents: int
    associations: int
    skipped: int
    replaced: int
    empty: int
    units_before: int
    checkpoints: int
    losses: int
    bytes_on_disk: int
    seconds: dict[str, float]
    peak_bytes: int
    planned_peak_bytes: int
    shard_peak_bytes: list[int]
    driver_peak_bytes: int
    ray_bytes: int


def build(
    inputs: list[str],
    out: Path,
    options: BuildOptions,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> BuildSummary:
    """Memorize a corpus into a new memory directory; goes on where a stopped build of the same left off.

    Raises:
        StoppedError: SIGTERM came; what was done is kept.
        MemoError: the inputs, settings, budget or disk do not allow it. The last checkpoint is kept if there is one;
            otherwise nothing is left behind.
    """
    clock = Clock()
    refuse_existing(out)
    array_module(options.device)
    prepared = prepare(inputs, out, options, unfinished_statement(out))
    clock.lap("prepare")
    plan = prepared.plan
    on_plan(prepared.corpus, plan)
    require_budget(plan, memory_budget(options.memory_budget))
    workspace = Workspace(out, prepared.statement, prepared.choice.tokenizer)
    with kept_or_removed(workspace), stop_on_sigterm() as stop, MemoryWatch() as watch:
        require_disk(workspace.path, plan, options.scratch)
        with ray_session(options.address, plan.workers, plan.store_bytes):
            run = Run(prepared, options, workspace, clock, stop, on_progress)
            manifest = run.to_the_end(inputs)
        size = sum(file.stat().st_size for file in workspace.path.iterdir())
        workspace.publish()
    clock.lap("stop")
    return BuildSummary(
        out=str(out),
        digest=manifest.digest,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        skipped=run.progress.skipped,
        replaced=run.progress.replaced,
        empty=run.progress.empty,
        units_before=run.units_before,
        checkpoints=run.checkpoints,
        losses=run.losses,
        bytes_on_disk=size,
        seconds={stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        peak_bytes=watch.peak_bytes,
        planned_peak_bytes=plan.peak_bytes,
        shard_peak_bytes=run.shard_peaks,
        driver_peak_bytes=peak_resident_bytes(),
        ray_bytes=watch.ray_bytes,
    )


@contextmanager
def kept_or_removed(workspace: Workspace) -> Iterator[None]:
    """After a failure: keep the checkpoint and say so, or leave nothing."""
    try:
        yield
    except BaseException as error:
        if fenced := workspace.fenced():
            raise fenced from error
        kept = workspace.abandon()
        error.add_note(
            "What was done up to the last checkpoint is kept; the same command goes on from there."
            if kept
            else "Nothing was published."
        )
        raise


def require_disk(directory: Path, plan: MemoryPlan, scratch: Path | None) -> None:
    """Refuse what the disk has no room for.

    Raises:
        StorageError: with the numbers.
    """
    free, apart = _free_bytes(directory), 0 if scratch is not None else plan.scratch_bytes
    if free < 2 * plan.disk_bytes + apart:
        more = f", and {show_bytes(apart)} for banks that are not in memory (--scratch)" if apart else ""
        raise StorageError(
            f"{directory.parent} has {show_bytes(free)} free; the memory will take {show_bytes(plan.disk_bytes)}, and "
            f"as much again while a checkpoint is written{more}. Make room or choose another --out"
        )


def _free_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free
