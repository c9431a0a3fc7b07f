"""The build: corpus -> plan -> shards -> checkpoints -> memory directory. Reads top to bottom.

Covers: one build, from nothing or from where a stopped one left off, on a local or a given Ray cluster. Does not cover:
what is fixed before it starts (prepare.py), feeding shards and lost processes (run.py), the directory that it grows in
(workspace.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.actor import peak_resident_bytes
from cluster.clock import Clock
from cluster.memory_watch import MemoryWatch
from cluster.prepare import BuildOptions, prepare
from cluster.ray_session import memory_budget, ray_session
from cluster.run import Run
from cluster.run_state import Progress
from cluster.signals import stop_on_sigterm
from cluster.workspace import Workspace, kept_or_removed, require_disk, unfinished_statement
from memo_dist.device.backend import array_module
from memo_dist.files.staging import refuse_existing
from memo_dist.planning.memory_plan import MemoryPlan, require_budget
from pipelines.plan import CorpusPlan


@dataclass(frozen=True, kw_only=True)
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
    *,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> BuildSummary:
    """Memorize a corpus into a new memory directory; goes on where a stopped build of the same left off.

    Raises:
        StoppedError: SIGTERM came; what was done is kept.
        MemoError: the inputs, settings, budget or disk do not allow it. The last checkpoint is kept if there is one;
            otherwise nothing is left behind.
    """
    clock, resources = Clock(), options.resources
    refuse_existing(out)
    array_module(resources.device)
    prepared = prepare(inputs, out, options=options, stopped=unfinished_statement(out))
    clock.lap("prepare")
    plan = prepared.plan
    on_plan(prepared.corpus, plan)
    require_budget(plan, memory_budget(resources.memory_budget))
    workspace = Workspace(out, prepared.statement, prepared.choice.tokenizer)
    with kept_or_removed(workspace), stop_on_sigterm() as stop, MemoryWatch() as watch:
        require_disk(workspace.path, plan, resources.scratch)
        with ray_session(resources.address, plan.workers, plan.store_bytes):
            run = Run(prepared, workspace, resources=resources, clock=clock, stop=stop, on_progress=on_progress)
            manifest = run.to_the_end()
        size = sum(file.stat().st_size for file in workspace.path.iterdir())
        workspace.commit()
    clock.lap("stop")
    state = run.state
    return BuildSummary(
        out=str(out),
        digest=manifest.digest,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        skipped=state.progress.skipped,
        replaced=state.progress.replaced,
        empty=state.progress.empty,
        units_before=state.units_before,
        checkpoints=state.checkpoints,
        losses=state.losses,
        bytes_on_disk=size,
        seconds=clock.rounded(),
        peak_bytes=watch.peak_bytes,
        planned_peak_bytes=plan.peak_bytes,
        shard_peak_bytes=run.shard_peaks,
        driver_peak_bytes=peak_resident_bytes(),
        ray_bytes=watch.ray_bytes,
    )
