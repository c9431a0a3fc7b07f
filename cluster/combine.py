"""New memories out of memories: merge several, or give one another number of banks. No corpus is needed.

Covers: both, on shard actors, published atomically. Does not cover: changing a memory in place (change.py).

merge   every shard takes the first memory's banks, then adds what the others' ledgers hold; cells are added only for
        associations that are new, so shared passages count once. Preset paper: the matrices are added.
rebank  a ledger's names keep the upper half of every window's hash, which says the bank for any number of banks: the
        ledger alone gives the new matrices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import ray

from cluster.build import kept_or_removed
from cluster.placement import Placed, place_shards, release, wait_until_ready
from cluster.ray_session import local_cpus, memory_budget, ray_session
from cluster.workspace import Workspace
from memo_dist.config import MemoryConfig
from memo_dist.errors import ConfigError
from memo_dist.files.journal import Entry, MergeEntry, RebankEntry, now
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import MemoryPlan, fit_plan, require_budget
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True)
class CombineOptions:
    """What the command line gives. None: chosen from the machine."""

    shards: int | None = None
    device: str = "cpu"
    address: str | None = None
    memory_budget: int | None = None
    scratch: Path | None = None


def merge(memories: list[Path], out: Path, options: CombineOptions) -> Manifest:
    """Add memories into a new one; they are not changed.

    Raises:
        ConfigError: fewer than two, or they differ in shape, seed or tokenizer, or hold documents of the same id.
        BudgetError, StorageError: there is no room; nothing is left behind.
    """
    if len(memories) < 2:
        raise ConfigError("merge takes two memories or more")
    manifests, tokenizer = _alike(memories)
    total = _summed(manifests)
    with _shards(manifests[0].config, total, tokenizer, memories[0], out, options) as placed:
        for memory in memories[1:]:
            ray.get([one.actor.merge.remote(str(memory.absolute())) for one in placed])
        entry = MergeEntry(memories=[str(memory) for memory in memories], when=now())
        return _publish(out, manifests[0].config, total, tokenizer, placed, entry)


def rebank(memory: Path, num_banks: int, out: Path, options: CombineOptions) -> Manifest:
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
    with _shards(config, manifest, tokenizer, None, out, options) as placed:
        ray.get([one.actor.merge.remote(str(memory.absolute())) for one in placed])
        banks = [manifest.config.num_banks, num_banks]
        entry = RebankEntry(memories=[str(memory)], banks=banks, when=now())
        return _publish(out, config, manifest, tokenizer, placed, entry)


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
    path: Path | None,
    out: Path,
    options: CombineOptions,
) -> Iterator[list[Placed]]:
    """Shards for what `total` holds, filled from `path` if there is one."""
    plan = _plan(config, total, options)
    require_budget(plan, memory_budget(options.memory_budget))
    with ray_session(options.address, 1, plan.store_bytes):
        placed = place_shards(
            plan,
            tokenizer.hash if tokenizer else "",
            None,
            options.device,
            path=None if path is None else str(path.absolute()),
            by_memory=options.address is not None,
            scratch=options.scratch or out.absolute().parent,
        )
        try:
            wait_until_ready(placed)
            yield placed
        finally:
            release(placed)


def _plan(config: MemoryConfig, total: Manifest, options: CombineOptions) -> MemoryPlan:
    """A shard of the preset paper holds what it makes and as much of what it adds."""
    tokens, budget = -(-total.associations // config.num_layers), memory_budget(options.memory_budget)
    plan = fit_plan(
        config,
        TextSize(tokens, total.documents),
        shards=options.shards,
        cpus=local_cpus(),
        unit_bytes=None,
        budget=budget,
    )
    extra = -(-config.num_banks // plan.shards) * config.bank_bytes if not model_of(config).has_ledger else 0
    return replace(plan, shard_bytes=plan.shard_bytes + extra, peak_bytes=plan.peak_bytes + plan.shards * extra)


def _publish(
    out: Path,
    config: MemoryConfig,
    total: Manifest,
    tokenizer: Tokenizer | None,
    placed: list[Placed],
    entry: Entry,
) -> Manifest:
    refuse_existing(out)
    workspace = Workspace(out, entry.to_dict(), tokenizer)
    with kept_or_removed(workspace):
        targets = [str((workspace.path / name).absolute()) for name in workspace.shard_files(len(placed))]
        written = ray.get([one.actor.write.remote(target) for one, target in zip(placed, targets, strict=True)])
        manifest = workspace.commit(config, written, total.tokens, total.documents, [*total.sources, entry])
        workspace.publish()
    return manifest
