"""New memories out of memories: merge several, or give one another number of banks. No corpus is needed.

Covers: both, on shard actors; the new memory is there whole or not at all. Does not cover: changing a memory in place
(change.py).

merge   every shard takes the first memory's banks, then adds what the others' ledgers hold; cells are added only for
        associations that are new, so shared passages count once. Preset paper: the matrices are added.
rebank  a ledger's names keep the upper half of every window's hash, which says the bank for any number of banks: the
        ledger alone gives the new matrices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import ray

from cluster.placement import Placed, device_for, place_shards, release, wait_until_ready
from cluster.ray_session import local_cpus, memory_budget, ray_session
from cluster.resources import Resources
from cluster.run import write_shards
from cluster.statement import CombineStatement
from cluster.workspace import Workspace, kept_or_removed
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import MemoryPlan, fit_plan, require_budget
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class CombineOptions:
    """What the command line gives; see `memo-dist merge --help`. No checkpoints are written meanwhile."""

    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, kw_only=True)
class CombineSummary:
    """The new memory."""

    memory: str
    digest: str
    documents: int
    tokens: int
    associations: int
    banks: int


def merge(memories: list[Path], out: Path, options: CombineOptions) -> CombineSummary:
    """Add memories into a new one; they are not changed.

    Raises:
        ConfigError: fewer than two, or they differ in shape, seed or tokenizer, or hold documents of the same id.
        BudgetError, StorageError: there is no room; nothing is left behind.
    """
    if len(memories) < 2:
        raise ConfigError("merge takes two memories or more")
    manifests, tokenizer = _alike(memories)
    total = _summed(manifests)
    with _shards(
        manifests[0].config, total, tokenizer, path=memories[0], out=out, resources=options.resources
    ) as placed:
        for memory in memories[1:]:
            ray.get([one.actor.merge.remote(str(memory.absolute())) for one in placed])
        statement = CombineStatement(action="merge", memories=[str(memory) for memory in memories])
        return _finish(out, manifests[0].config, total=total, tokenizer=tokenizer, placed=placed, statement=statement)


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
    with _shards(config, manifest, tokenizer, path=None, out=out, resources=options.resources) as placed:
        ray.get([one.actor.merge.remote(str(memory.absolute())) for one in placed])
        banks = (manifest.config.num_banks, num_banks)
        statement = CombineStatement(action="rebank", memories=[str(memory)], banks=banks)
        return _finish(out, config, total=manifest, tokenizer=tokenizer, placed=placed, statement=statement)


def _alike(memories: list[Path]) -> tuple[list[Manifest], Tokenizer | None]:
    """Manifests and tokenizer of memories that can be merged."""
    manifests, documents = [], []
    for memory in memories:
        with open_memory(memory) as stored:
            documents.append(stored.require_working().documents()[:, 0])
            tokenizer = stored.tokenizer
            manifests.append(stored.manifest)
    first = {**manifests[0].config.to_dict(), "tokenizer": manifests[0].tokenizer_hash}
    for memory, manifest in zip(memories[1:], manifests[1:], strict=True):
        other = {**manifest.config.to_dict(), "tokenizer": manifest.tokenizer_hash}
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                like = f"build --tokenizer {memories[0] / TOKENIZER_FILE} --banks {first.get('num_banks')}"
                raise ConfigError(
                    f"{memories[0]} and {memory} cannot be merged: {name} is {first.get(name)} in the first and "
                    f"{other.get(name)} in the second. Memories that are to be merged are built with one tokenizer and "
                    f"as many banks: {like}; of a memory that is there, rebank changes the banks"
                )
    every = np.concatenate(documents)
    if repeated := len(every) - len(np.unique(every)):
        raise ConfigError(
            f"{' and '.join(map(str, memories))} hold {repeated} documents of the same id, which would count twice; "
            "forget them in one of the two first"
        )
    return manifests, tokenizer


def _summed(manifests: list[Manifest]) -> Manifest:
    return replace(
        manifests[0],
        tokens=sum(m.tokens for m in manifests),
        documents=sum(m.documents for m in manifests),
        associations=sum(m.associations for m in manifests),
        sources=[entry for m in manifests for entry in m.sources],
    )


@contextmanager
def _shards(
    config: MemoryConfig,
    total: Manifest,
    tokenizer: Tokenizer | None,
    *,
    path: Path | None,
    out: Path,
    resources: Resources,
) -> Iterator[list[Placed]]:
    """Shards for what `total` holds, filled from `path` if there is one."""
    plan = _plan(config, total, resources)
    require_budget(plan, memory_budget(resources.memory_budget))
    with ray_session(resources.address, 1, plan.store_bytes):
        placed = place_shards(
            plan,
            tokenizer.hash if tokenizer else "",
            device=device_for(resources.device, plan.shards),
            path=None if path is None else str(path.absolute()),
            by_memory=resources.address is not None,
            scratch=resources.scratch or out.absolute().parent,
        )
        try:
            wait_until_ready(placed)
            yield placed
        finally:
            release(placed)


def _plan(config: MemoryConfig, total: Manifest, resources: Resources) -> MemoryPlan:
    """A shard of the preset paper holds what it makes and as much of what it adds."""
    tokens, budget = -(-total.associations // config.num_layers), memory_budget(resources.memory_budget)
    plan = fit_plan(
        config,
        TextSize(tokens, total.documents),
        shards=resources.shards,
        cpus=local_cpus(),
        unit_bytes=None,
        budget=budget,
    )
    extra = -(-config.num_banks // plan.shards) * config.bank_bytes if not model_of(config).has_ledger else 0
    return replace(plan, shard_bytes=plan.shard_bytes + extra, peak_bytes=plan.peak_bytes + plan.shards * extra)


def _finish(
    out: Path,
    config: MemoryConfig,
    *,
    total: Manifest,
    tokenizer: Tokenizer | None,
    placed: list[Placed],
    statement: CombineStatement,
) -> CombineSummary:
    """Write what the shards hold as the new memory."""
    refuse_existing(out)
    workspace = Workspace(out, statement, tokenizer)
    with kept_or_removed(workspace):
        manifest = workspace.checkpoint(
            config,
            write_shards(placed, workspace),
            tokens=total.tokens,
            documents=total.documents,
            journal=[*total.sources, statement.entry()],
        )
        workspace.commit()
    return CombineSummary(
        memory=str(out),
        digest=manifest.digest,
        documents=manifest.documents,
        tokens=manifest.tokens,
        associations=manifest.associations,
        banks=config.num_banks,
    )
