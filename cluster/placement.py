"""Placement: which actors own which banks, and where they run.

Covers: equal bank ranges, resources, waiting until actors are up. Does not cover: restarts: a lost actor has lost its
state, so a run starts all shards again from its last checkpoint (stream_run.py).
"""

import itertools
from dataclasses import dataclass

from cluster.actor import ShardActor, ShardSpec
from cluster.executor import Actor, Executor, Reference
from memo_dist.device.backend import array_module
from memo_dist.errors import NoRoomError
from memo_dist.memory_config import MemoryConfig
from memo_dist.planning.processes import SHARED_BYTES
from memo_dist.tokenizer import Tokenizer

_START_SECONDS = 180


@dataclass(frozen=True)
class Placed:
    """An actor, the banks it owns, and the reference that resolves once it is up."""

    actor: Actor
    banks: range
    ready: Reference


def bank_ranges(num_banks: int, shards: int) -> list[range]:
    """`shards` contiguous ranges of nearly equal size."""
    edges = [num_banks * index // shards for index in range(shards + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(edges)]


def device_for(asked: str, shards: int, executor: Executor) -> str:
    """ "auto" is "gpu" where CuPy finds one here and the cluster has one for every shard; else as asked."""
    if asked != "auto":
        return asked
    return "gpu" if executor.gpus() >= shards and array_module("auto").__name__ == "cupy" else "cpu"


def place_shards(
    config: MemoryConfig,
    shards: int,
    tokenizer: Tokenizer | None,
    *,
    executor: Executor,
    memory_bytes: int | None = None,
    device: str = "cpu",
    path: str | None = None,
    threads: int = 1,
) -> list[Placed]:
    """Start actors that own a part of the banks each, spread over the cluster's nodes; calls queue until one is up.

    Args:
        tokenizer: with which batches must be made; None takes any.
        memory_bytes: that each takes, and that must be free on its node; None: that is not looked at.
        device: "cpu" or "gpu"; see device_for.
        path: a memory to fill them from; None: they begin empty.
        threads: of numerical libraries, in each actor.
    """
    placed = []
    for banks in bank_ranges(config.num_banks, shards):
        spec = ShardSpec(
            config=config,
            first_bank=banks.start,
            stop_bank=banks.stop,
            tokenizer=tokenizer,
            device=device,
            threads=threads,
        )
        actor = executor.start_actor(ShardActor, spec, memory_bytes=memory_bytes, gpu=device == "gpu")
        placed.append(Placed(actor, banks, executor.call(actor, "ready", path)))
    return placed


def reserved_bytes(actor_bytes: int, address: str | None) -> int | None:
    """What must be free for an actor that takes so much: on a given cluster, whose nodes others may use, all of it."""
    return None if address is None else actor_bytes + SHARED_BYTES


def release(placed: list[Placed], executor: Executor) -> None:
    """End the actors and give their memory back."""
    for one in placed:
        executor.end_actor(one.actor)


def wait_until_ready(placed: list[Placed], executor: Executor) -> None:
    """Return once every shard answers.

    Raises:
        NoRoomError: the cluster cannot start them all.
    """
    try:
        executor.get([p.ready for p in placed], timeout=_START_SECONDS)
    except TimeoutError as error:
        raise NoRoomError(
            f"the cluster did not start {len(placed)} shards within {_START_SECONDS} s; free are "
            f"{executor.describe_room()}. Give fewer --shards, or a cluster with more room"
        ) from error
