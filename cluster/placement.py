"""Placement: which actors own which banks, and where they run.

Covers: equal bank ranges, resources, waiting until actors are up. Does not cover: restarts: a lost actor has lost its
state, so the build starts all shards again from its last checkpoint (build.py).
"""

import itertools
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from cluster.actor import ShardActor, ShardSpec
from cluster.session import NoRoomError
from memo_dist.config import MemoryConfig

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


def place_shards(
    config: MemoryConfig,
    shards: int,
    tokenizer_hash: str,
    bytes_each: int,
    buffer: int,
    max_associations: int | None,
    expected: int,
    device: str = "cpu",
    path: str | None = None,
    threads: int = 1,
    by_memory: bool = False,
) -> list[Placed]:
    """Start one actor a shard, spread over the cluster's nodes; calls queue until an actor is up.

    Args:
        bytes_each: planned peak of a shard; with `by_memory`, what Ray must have free on its node.
        expected: associations a shard is expected to hold.
    """
    options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_restarts": 0}
    if by_memory:
        options["memory"] = bytes_each
    if device == "gpu":
        options["num_gpus"] = 1
    remote: Any = ray.remote(ShardActor).options(**options)
    placed = []
    for banks in bank_ranges(config.num_banks, shards):
        spec = ShardSpec(
            config, banks.start, banks.stop, tokenizer_hash, buffer, max_associations, expected, device, threads
        )
        actor = remote.remote(spec, path)
        placed.append(Placed(actor, banks, actor.ready.remote()))
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
