"""The build: corpus -> plan -> sorted runs -> shard files -> memory directory. Reads top to bottom.

Covers: one build, from nothing or from where a stopped one left off, on a local or a given Ray cluster. Does not cover:
what is fixed before it starts (prepare.py), runs, merging and lost processes (sorted_run.py), the published memory's
matrix (stream_run.py), the directory that it grows in (workspace.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.actor import peak_resident_bytes
from cluster.clock import Clock
from cluster.compared import documents_held
from cluster.memory_watch import MemoryWatch
from cluster.prepare import BuildOptions, PreparedCorpus, prepare
from cluster.rejects import write_rejects
from cluster.room import require_disk
from cluster.run_state import Progress
from cluster.session import connected, session
from cluster.signals import end_on_sigterm, stop_on_sigterm
from cluster.sorted_run import SortedRun
from cluster.stream_run import StreamRun
from cluster.task import Task
from cluster.work import CorpusWork, keeping_in
from cluster.workspace import Workspace, kept_or_removed, unfinished_statement
from memo_dist.device.backend import array_module
from memo_dist.document_identities import repeated_ids
from memo_dist.files.staging import refuse_existing
from memo_dist.models import model_of
from memo_dist.models.repetition import Answered
from memo_dist.planning.capacity import lengths_of
from memo_dist.planning.fit import require_budget
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.plan import CorpusPlan


@dataclass(frozen=True, kw_only=True)
class BuildSummary:
    """What was built, and what it took.

    Attributes:
        repeated_ids: ids that more than one document has. kept_bytes: of the token batches that the memory keeps.
        planned_associations, planned_banks: what a sample let expect; banks: of the memory, chosen after counting.
        answered: what the capacity law says of each length of prompt.
        checkpoints, losses: of this attempt.
        rejects: the file that names rows and files which were left out; None if none were.
        passed_over: how many files beside the corpus are not read, of which endings.
        tokenizer_losses: what of the text does not come back from the tokenizer, as the attempt that chose it found.
    """

    out: str
    digest: str
    tokens: int
    documents: int
    associations: int
    planned_associations: int
    banks: int
    planned_banks: int
    answered: list[Answered]
    skipped: int
    replaced: int
    empty: int
    splits_before: int
    checkpoints: int
    losses: int
    repeated_ids: int
    kept_bytes: int
    bytes_on_disk: int
    seconds: dict[str, float]
    peak_bytes: int
    planned_peak_bytes: int
    shard_peak_bytes: list[int]
    driver_peak_bytes: int
    ray_bytes: int
    tokenizer_losses: list[str]
    rejects: str | None
    passed_over: dict[str, int]


def build(
    inputs: list[str],
    out: Path,
    options: BuildOptions,
    *,
    on_losses: Callable[[tuple[str, ...]], None] = lambda losses: None,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> BuildSummary:
    """Memorize a corpus into a new memory directory; goes on where a stopped build of the same left off.

    Args:
        on_losses: called with what of the text does not come back from the tokenizer, if anything does not.

    Raises:
        StoppedError: SIGTERM came; what was done is kept.
        MemoError: the inputs, settings, budget or disk do not allow it. What is done is kept; if nothing is, nothing is
            left behind.
    """
    refuse_existing(out)
    array_module(options.resources.device)
    with end_on_sigterm(), connected(options.resources):
        return _build(inputs, out, options, on_losses=on_losses, on_plan=on_plan, on_progress=on_progress)


def _build(
    inputs: list[str],
    out: Path,
    options: BuildOptions,
    *,
    on_losses: Callable[[tuple[str, ...]], None],
    on_plan: Callable[[CorpusPlan, MemoryPlan], None],
    on_progress: Callable[[Progress], None],
) -> BuildSummary:
    clock, resources = Clock(), options.resources
    prepared = prepare(inputs, out, options=options, stopped=unfinished_statement(out))
    clock.lap("prepare")
    plan = prepared.plan
    if prepared.choice.losses:
        on_losses(prepared.choice.losses)
    on_plan(prepared.corpus, plan)
    require_budget(plan, prepared.budget)
    workspace = Workspace(out, prepared.statement, prepared.choice.tokenizer)
    with kept_or_removed(workspace), stop_on_sigterm() as stop, MemoryWatch() as watch:
        require_disk(workspace.path, plan)
        with session(resources, plan) as executor:
            kind = SortedRun if model_of(plan.config).has_ledger else StreamRun
            run = kind(
                prepared,
                workspace,
                _work(prepared, workspace, options),
                executor=executor,
                resources=resources,
                clock=clock,
                stop=stop,
                on_progress=on_progress,
                task=Task(action="build", keeps_tokens=options.keep_tokens),
            )
            manifest = run.to_the_end()
        repeated = repeated_ids(documents_held(workspace))
        rejects = write_rejects(out, run.rejects)
        workspace.commit()
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    clock.lap("stop")
    state = run.state
    return BuildSummary(
        out=str(out),
        digest=manifest.digest,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        planned_associations=plan.expected_associations,
        banks=manifest.config.num_banks,
        planned_banks=plan.config.num_banks,
        answered=lengths_of(manifest),
        skipped=state.progress.skipped,
        replaced=state.progress.replaced,
        empty=state.progress.empty,
        splits_before=state.splits_before,
        checkpoints=state.checkpoints,
        losses=state.losses,
        repeated_ids=repeated,
        kept_bytes=sum(batch.bytes for batch in manifest.batches),
        bytes_on_disk=size,
        seconds=clock.rounded(),
        peak_bytes=watch.peak_bytes,
        planned_peak_bytes=plan.peak_bytes,
        shard_peak_bytes=run.shard_peaks,
        driver_peak_bytes=peak_resident_bytes(),
        ray_bytes=watch.ray_bytes,
        tokenizer_losses=list(prepared.choice.losses),
        rejects=None if rejects is None else str(rejects),
        passed_over=prepared.corpus.passed_over.by_ending(),
    )


def _work(prepared: PreparedCorpus, workspace: Workspace, options: BuildOptions) -> CorpusWork:
    config = prepared.plan.config
    return CorpusWork(
        corpus=prepared.corpus,
        tokenizer=prepared.choice.tokenizer,
        config=config,
        keeping=keeping_in(workspace.batches, config) if options.keep_tokens else None,
    )
