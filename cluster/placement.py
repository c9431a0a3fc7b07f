"""Placement: which actors own which banks, and where they run.

Covers: equal bank ranges, resources, waiting until actors are up. Does not cover: restarts: a lost actor has lost its
state, so a run starts all shards again from its last checkpoint (run.py).
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from cluster.actor import ShardActor, ShardSpec
from memo_dist.device.backend import array_module
from memo_dist.errors import NoRoomError
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.planning.processes import SHARED_BYTES

_START_SECONDS = 180


@dataclass(frozen=True)
class Placed:
    """An actor, the banks it owns, and the reference that resolves once it is up."""

    actor: Any
    banks: range
    ready: Any


def bank_ranges(num_banks: int, shards: int) -> list[range]:
    """`shards` contiguous ranges of nearly equal size."""
    edges = [num_banks * index // shards for index in range(shards + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(edges)]


def device_for(asked: str, shards: int) -> str:
    """ "auto" is "gpu" where CuPy finds one here and the cluster has one for every shard; else as asked."""
    if asked != "auto":
        return asked
    enough = ray.cluster_resources().get("GPU", 0) >= shards
    return "gpu" if enough and array_module("auto").__name__ == "cupy" else "cpu"


def place_shards(
    plan: MemoryPlan,
    tokenizer_hash: str,
    *,
    max_associations: int | None = None,
    device: str = "cpu",
    path: str | None = None,
    threads: int = 1,
    by_memory: bool = False,
    scratch: Path | None = None,
) -> list[Placed]:
    """Start one actor for each shard, spread over the cluster's nodes; calls queue until an actor is up.

    Args:
        tokenizer_hash: what batches must carry; "" takes any.
        max_associations: what a shard refuses to exceed; None: no limit.
        device: "cpu" or "gpu"; see device_for.
        path: a memory to fill them from; None: they begin empty.
        threads: of numerical libraries, in each actor.
        by_memory: Ray must have the planned bytes free on a shard's node.
        scratch: where shards keep banks and ledger if the plan is out of core; on every node.
    """
    options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_restarts": 0}
    if by_memory:
        options["memory"] = plan.shard_bytes + SHARED_BYTES
    if device == "gpu":
        options["num_gpus"] = 1
    remote: Any = ray.remote(ShardActor).options(**options)
    placed = []
    for banks in bank_ranges(plan.config.num_banks, plan.shards):
        spec = ShardSpec(
            config=plan.config,
            first_bank=banks.start,
            stop_bank=banks.stop,
            tokenizer_hash=tokenizer_hash,
            buffer=plan.buffer,
            max_associations=max_associations,
            expected=plan.associations // plan.shards,
            device=device,
            threads=threads,
            scratch=str(scratch) if plan.out_of_core else None,
        )
        actor = remote.remote(spec)
        placed.append(Placed(actor, banks, actor.ready.remote(path)))
    return placed


def release(placed: list[Placed]) -> None:
    """End the actors and give their memory back."""
    for one in placed:
        ray.kill(one.actor)


def wait_until_ready(placed: list[Placed]) -> None:
    """Return once every shard answers.

    Raises:
        NoRoomError: the cluster cannot start them all.
    """
    try:
        ray.get([p.ready for p in placed], timeout=_START_SECONDS)
    except GetTimeoutError as error:
        raise NoRoomError(
            f"the cluster did not start {len(placed)} shards within {_START_SECONDS} s; free are "
            f"{ray.available_resources()}. Give fewer --shards, or a cluster with more room"
        ) from error
