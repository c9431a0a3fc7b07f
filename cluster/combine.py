"""New memories out of memories: merge several, or give one another number of banks. No corpus is needed.

Covers: both, for models with a ledger; the new memory is there whole or not at all. Does not cover: changing a memory
in place (change.py), the merge itself (merge_phase.py), the published memory, whose matrices are added
(combine_matrices.py).

merge   the ledgers are added up, so that shared passages count once.
rebank  a ledger's names keep the upper half of every window's hash, which says the bank for any number of banks: the
        ledger alone gives the new matrices.
A stopped one goes on by the same command.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster.alike import alike, summed
from cluster.combine_matrices import merge_matrices
from cluster.counting import banks_for, count_associations
from cluster.executor import Executor
from cluster.files_progress import FilesProgress
from cluster.machine import Machines, machines_for
from cluster.merge_actor import MergeSpec, Sources
from cluster.merge_phase import MergePhase
from cluster.placement import reserved_bytes
from cluster.resources import NO_CLUSTER, Resources
from cluster.room import require_disk
from cluster.session import connected, runs_in_process, session
from cluster.signals import stop_on_sigterm
from cluster.statement import CombineStatement
from cluster.workspace import Workspace, Written, kept_or_removed
from memo_dist.durable import writing
from memo_dist.errors import ConfigError
from memo_dist.files.checked import require_bytes
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.generations import link_file
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import Answered, TextSize
from memo_dist.models.text.config import TextConfig
from memo_dist.planning.capacity import lengths_of
from memo_dist.planning.fit import fit_plan, require_budget
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class CombineOptions:
    """What the command line gives; see `memo-dist merge --help`."""

    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, kw_only=True)
class CombineSummary:
    """The new memory.

    Attributes:
        answered: what the capacity law says of each length of prompt.
        without_tokens: memories that keep no tokens, for which the new one keeps none either.
    """

    memory: str
    digest: str
    documents: int
    tokens: int
    associations: int
    banks: int
    answered: list[Answered]
    keeps_tokens: bool
    without_tokens: list[str]


@dataclass(frozen=True, kw_only=True)
class _Combined:
    """What is made: its manifest but for the shards, out of which memories.

    Attributes:
        target_recall: that its number of banks is chosen for; None: it is that of `total`.
    """

    memories: list[Path]
    total: Manifest
    tokenizer: Tokenizer | None
    statement: CombineStatement
    target_recall: float | None = None


def merge(memories: list[Path], out: Path, options: CombineOptions) -> CombineSummary:
    """Add memories into a new one; they are not changed.

    It has as many banks as its text needs for the recall that the first memory was made for, and no fewer than any of
    them; where that one's banks were asked for, as many as the largest has.

    Raises:
        ConfigError: fewer than two, or they differ in shape, seed or tokenizer, or hold documents of the same id.
        BudgetError, StorageError: there is no room; nothing is left behind.
    """
    if len(memories) < 2:
        raise ConfigError("merge takes two memories or more")
    manifests, tokenizer = alike(memories)
    names, digests = [str(memory) for memory in memories], [manifest.digest for manifest in manifests]
    combined = _Combined(
        memories=memories,
        total=summed(manifests),
        tokenizer=tokenizer,
        statement=CombineStatement(action="merge", memories=names, digests=digests),
        target_recall=manifests[0].target_recall,
    )
    with connected(options.resources):
        summary = _combine(combined, out, options.resources)
    bare = [str(memory) for memory, manifest in zip(memories, manifests, strict=True) if not manifest.keeps_tokens]
    return replace(summary, without_tokens=bare)


def rebank(memory: Path, num_banks: int, out: Path, *, options: CombineOptions) -> CombineSummary:
    """The same associations in another number of banks, as if they had been memorized so; `memory` is not changed.

    Raises:
        ConfigError: the preset has one matrix, or the number is out of range.
        BudgetError, StorageError: there is no room; nothing is left behind.
    """
    with open_memory(memory) as stored:
        stored.require_working()
        manifest, tokenizer = stored.manifest, stored.tokenizer
    if not model_of(manifest.config).has_ledger:
        raise ConfigError(f"{memory} is of the preset {manifest.config.preset!r}, one matrix that has no ledger")
    config = replace(manifest.config, num_banks=num_banks)
    banks = (manifest.config.num_banks, num_banks)
    statement = CombineStatement(action="rebank", memories=[str(memory)], digests=[manifest.digest], banks=banks)
    total = replace(manifest, config=config)
    combined = _Combined(memories=[memory], total=total, tokenizer=tokenizer, statement=statement)
    with connected(options.resources):
        return _combine(combined, out, options.resources)


def _combine(combined: _Combined, out: Path, resources: Resources) -> CombineSummary:
    total, tokenizer, machines = combined.total, combined.tokenizer, machines_for(resources)
    if not model_of(total.config).has_ledger:
        plan = plan_of(total, resources, machines, extra=True)
        require_budget(plan, machines.budget)
        with merge_matrices(plan, combined.memories, tokenizer, resources=resources) as write:
            workspace = _workspace(combined, out)
            with kept_or_removed(workspace):
                with _told(combined, workspace, files=plan.shards):
                    written = write(workspace)
                return _finish(combined, workspace, total.config, written=written)
    plan = plan_of(total, resources, machines)
    require_budget(plan, machines.budget)
    workspace = _workspace(combined, out)
    with kept_or_removed(workspace), stop_on_sigterm() as stop, session(resources, plan) as executor:
        require_disk(workspace.path, plan)
        sources = Sources(memories=tuple(str(memory.absolute()) for memory in combined.memories))
        with _told(combined, workspace) as told:
            config = _with_banks(combined, sources, executor)
            phase = MergePhase(
                MergeSpec(
                    sources=sources,
                    applied=_applied(combined.memories),
                    config=config,
                    tokenizer_hash="" if tokenizer is None else tokenizer.hash,
                    rows=total.associations,
                    slice_rows=plan.slice_rows,
                ),
                workspace,
                files=plan.shards,
                actors=max(plan.mergers, executor.processors()) if resources.on_cluster else plan.mergers,
                memory_bytes=reserved_bytes(plan.shard_bytes, resources.address),
                executor=executor,
                stop=stop,
                on_file=told.on_file,
            )
            written = phase.to_the_end()
        return _finish(combined, workspace, config, written=written)


def _told(combined: _Combined, workspace: Workspace, *, files: int = 0) -> AbstractContextManager[FilesProgress]:
    """How far it is, kept for whoever looks from elsewhere."""
    return FilesProgress(workspace.path, combined.statement.action, combined.total, files=files).kept()


def _workspace(combined: _Combined, out: Path) -> Workspace:
    refuse_existing(out)
    return Workspace(out, combined.statement, combined.tokenizer)


def _with_banks(combined: _Combined, sources: Sources, executor: Executor) -> TextConfig:
    """The config with as many banks as the recall that was asked for needs; no fewer than it has."""
    config, total = combined.total.config, combined.total
    assert isinstance(config, TextConfig)  # no other model has a ledger
    if combined.target_recall is None:
        return config
    counted = count_associations(sources, executor, tokens=total.tokens, rows=total.associations)
    size = TextSize(total.tokens, total.documents, total.repetition)
    return banks_for(config, counted, combined.target_recall, text=size)


def _applied(memories: list[Path]) -> frozenset[str]:
    found = set[str]()
    for memory in memories:
        with open_memory(memory) as stored:
            found |= stored.require_working().applied()
    return frozenset(found)


def plan_of(total: Manifest, resources: Resources, machines: Machines, *, extra: bool = False) -> MemoryPlan:
    """What a merge into a manifest's memory takes. `extra`: a shard holds what it makes and as much of what it adds."""
    config = total.config
    tokens = -(-total.associations // config.num_layers)
    plan = fit_plan(
        config,
        TextSize(tokens, total.documents),
        shards=resources.shards,
        cpus=machines.processors,
        split_bytes=None,
        budget=machines.budget,
        in_process=runs_in_process(resources, tokens),
        cluster=resources.address != NO_CLUSTER,
    )
    more = -(-config.num_banks // plan.shards) * config.bank_bytes if extra else 0
    return replace(plan, shard_bytes=plan.shard_bytes + more, peak_bytes=plan.peak_bytes + plan.shards * more)


def _finish(combined: _Combined, workspace: Workspace, config: MemoryConfig, *, written: Written) -> CombineSummary:
    """Make files that are written the new memory."""
    total = combined.total
    if total.batches:
        _take_batches(total, combined.memories, workspace)
    manifest = workspace.checkpoint(
        config,
        written,
        tokens=total.tokens,
        documents=total.documents,
        journal=[*total.sources, combined.statement.entry()],
        batches=total.batches if total.keeps_tokens else None,
    )
    workspace.commit()
    return CombineSummary(
        memory=str(workspace.out),
        digest=manifest.digest,
        documents=manifest.documents,
        tokens=manifest.tokens,
        associations=manifest.associations,
        banks=config.num_banks,
        answered=lengths_of(manifest),
        keeps_tokens=manifest.keeps_tokens,
        without_tokens=[],
    )


def _take_batches(total: Manifest, memories: list[Path], workspace: Workspace) -> None:
    """Give the new memory the kept batches of all: links where the file system has them, else copies."""
    found: dict[str, Path] = {}
    for record in total.batches:
        sources = [memory / BATCHES_FOLDER / record.file for memory in memories]
        found[record.file] = next((path for path in sources if path.exists()), sources[0])
        require_bytes(found[record.file], record)
    lists = {name for record in total.batches for name in record.taken}
    with writing(workspace.batches):
        workspace.batches.mkdir(exist_ok=True)
        for name, source in found.items():
            link_file(source, workspace.batches / name)
        for name in lists:
            paths = [memory / name for memory in memories]
            link_file(next((path for path in paths if path.exists()), paths[0]), workspace.path / name)
