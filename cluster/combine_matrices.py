"""Merging memories of a model without a ledger: their matrices are added, cell by cell, on shard actors.

Covers: shards that hold the first memory and add the others. Does not cover: models with a ledger (combine.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.placement import device_for, place_shards, release, reserved_bytes, wait_until_ready
from cluster.resources import Resources
from cluster.session import session
from cluster.stream_run import write_shards
from cluster.workspace import Workspace, Written
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.tokenizer import Tokenizer


@contextmanager
def merge_matrices(
    plan: MemoryPlan, memories: list[Path], tokenizer: Tokenizer | None, *, resources: Resources
) -> Iterator[Callable[[Workspace], Written]]:
    """What writes the sum of some memories into a workspace."""
    with session(resources, plan) as executor:
        placed = place_shards(
            plan.config,
            plan.shards,
            tokenizer,
            executor=executor,
            memory_bytes=reserved_bytes(plan.shard_bytes, resources.address),
            device=device_for(resources.device, plan.shards, executor),
            path=str(memories[0].absolute()),
        )
        try:
            wait_until_ready(placed, executor)
            for memory in memories[1:]:
                executor.get([executor.call(one.actor, "merge", str(memory.absolute())) for one in placed])
            yield lambda workspace: write_shards(placed, workspace, executor)
        finally:
            release(placed, executor)
