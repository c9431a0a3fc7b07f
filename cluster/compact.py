"""Compacting: a memory's segments folded into its files.

Covers: a new generation that holds the same, in files written anew; documents that were taken out are gone from the
kept batches, too. Does not cover: when a change does so by itself (beside.py), the merge (merge_phase.py).
"""

from dataclasses import dataclass
from pathlib import Path

from cluster.change_prepare import ChangeOptions, change_statement, remove_outdated
from cluster.combine import plan_of
from cluster.corpus_stamp import CorpusStamp
from cluster.files_progress import FilesProgress
from cluster.machine import machines_for
from cluster.merge_actor import MergeSpec, Sources
from cluster.merge_phase import MergePhase
from cluster.placement import reserved_bytes
from cluster.resources import Resources
from cluster.rewriting import write_anew
from cluster.room import require_disk
from cluster.session import connected, session
from cluster.signals import stop_on_sigterm
from cluster.work import KeptList
from cluster.workspace import Workspace, kept_or_removed
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.generations import require_whole
from memo_dist.files.journal import CompactEntry, now
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.models.text.config import TextConfig
from memo_dist.planning.fit import require_budget


@dataclass(frozen=True, kw_only=True)
class CompactSummary:
    """What was folded.

    Attributes:
        segments: that were folded. digest: of the memory, as it was.
        bytes_before, bytes: of the memory's files, without the generation that undo goes back to.
    """

    memory: str
    digest: str
    segments: int
    bytes_before: int
    bytes: int


def compact(memory: Path, resources: Resources) -> CompactSummary:
    """Fold the segments of a memory into its files; a memory without any is left as it is.

    Raises:
        ConfigError: the memory is published.
        MemoError: as for a change; the memory is what it was.
    """
    with connected(resources):
        return _compact(memory, resources)


def _compact(memory: Path, resources: Resources) -> CompactSummary:
    with open_memory(memory) as stored:
        base, tokenizer, working = stored.manifest, stored.tokenizer, stored.require_working()
        before = _bytes_of(base)
        applied = working.applied() if base.is_segmented else set[str]()
    if not base.is_segmented:
        remove_outdated(memory, base)
        return CompactSummary(memory=str(memory), digest=base.digest, segments=0, bytes_before=before, bytes=before)
    require_whole(memory, base)
    config, machines = base.config, machines_for(resources)
    assert isinstance(config, TextConfig)  # no other model has segments
    plan = plan_of(base, resources, machines)
    require_budget(plan, machines.budget)
    options, stamp = ChangeOptions(resources=resources), CorpusStamp(sources="", splits="")
    statement = change_statement("compact", memory, base=base, inputs=[], options=options, stamp=stamp)
    with session(resources, plan) as executor:
        workspace = Workspace(memory, statement, tokenizer, replaces=base)
        told = FilesProgress(workspace.path, "compact", base, files=plan.shards)
        with kept_or_removed(workspace), stop_on_sigterm() as stop:
            require_disk(workspace.path, plan)
            phase = MergePhase(
                MergeSpec(
                    sources=Sources(memories=(str(memory.absolute()),)),
                    applied=frozenset(applied),
                    config=config,
                    tokenizer_hash=base.tokenizer_hash,
                    rows=base.associations,
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
            with told.kept():
                written, kept = phase.to_the_end(), KeptList(base.batches)
                write_anew(kept, workspace, config=config, executor=executor)
            manifest = workspace.checkpoint(
                config,
                written,
                tokens=base.tokens,
                documents=base.documents,
                journal=[*base.sources, CompactEntry(when=now(), segments=len(base.segments))],
                batches=kept.records if base.keeps_tokens else None,
            )
            if manifest.digest != base.digest:
                workspace.discard()
                raise DamagedMemoryError(f"{memory} and its segments do not give its digest; restore it from a copy")
            workspace.commit()
    return CompactSummary(
        memory=str(memory),
        digest=base.digest,
        segments=len(base.segments),
        bytes_before=before,
        bytes=_bytes_of(manifest),
    )


def _bytes_of(manifest: Manifest) -> int:
    """Of a generation's files."""
    shards = [*manifest.shards, *(record for segment in manifest.segments for record in segment.files)]
    beside = [record.documents.bytes for record in shards if record.documents is not None]
    batches = sum(record.bytes for record in manifest.batches)
    return sum(record.bytes for record in shards) + sum(beside) + batches
