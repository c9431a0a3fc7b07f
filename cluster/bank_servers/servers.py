"""Bank servers, started and ended: one a node where there are so many nodes.

Covers: placing, starting, ending. Does not cover: what they do (server.py), who owns what (keeper.py), asking them
(owners.py).
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from cluster.bank_servers.keeper import RangeKeeper
from cluster.bank_servers.owners import BankServers
from cluster.bank_servers.server import BankServer
from cluster.ray_session import unwrapped
from memo_dist.errors import ConfigError, NoRoomError
from memo_dist.files.manifest import Manifest
from memo_dist.ranges.plan import RangePlan

DEFAULT_REPLICAS = 2
_CACHE_BYTES = 1 << 28
_PLACE_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_THREADS = 8  # questions that a server answers at a time


@contextmanager
def bank_servers(
    path: Path, count: int, *, replicas: int | None = None, follows: bool = False, cache_bytes: int = _CACHE_BYTES
) -> Iterator[BankServers]:
    """Start the bank servers of a memory on the cluster that this process is connected to; they end with the block.

    Args:
        count: of servers. replicas: servers that own each range; None: two, or one of one server.
        follows: see RangeKeeper. cache_bytes: see MemoryPart; of each server.

    Raises:
        ConfigError: the memory has no ranges, or there are fewer servers than replicas.
        DamagedMemoryError: a file is not whole. NoRoomError: the cluster cannot start them.
    """
    wanted = min(DEFAULT_REPLICAS, count) if replicas is None else replicas
    if not 1 <= wanted <= count:
        raise ConfigError(f"each range would have {wanted} owners of {count} bank servers; give fewer, or more servers")
    RangePlan.of(Manifest.read(path))
    place = f"memo-dist-{uuid.uuid4().hex[:12]}"
    group, servers = _placed(count, cache_bytes), list[Any]()
    try:
        kind: Any = ray.remote(BankServer)
        names = [f"{place}-{number}" for number in range(count)]
        servers = [
            kind.options(
                name=names[number],
                num_cpus=0,
                memory=cache_bytes,
                max_concurrency=_THREADS,
                max_restarts=-1,
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number),
            ).remote(number, str(path.absolute()), place=place, cache_bytes=cache_bytes)
            for number in range(count)
        ]
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options: Any = ray.remote(RangeKeeper).options(
            num_cpus=0, max_concurrency=_THREADS, max_restarts=-1, scheduling_strategy=here
        )
        keeper = options.remote(str(path.absolute()), names, replicas=wanted, follows=follows)
        with unwrapped():
            ray.get(keeper.start.remote())
            started = BankServers(str(path), keeper, servers)
            started.open().require_whole()
            yield started
    finally:
        with suppress(Exception):  # the cluster has ended, and they with it
            ray.wait([server.close.remote() for server in servers], num_returns=count, timeout=_CLOSE_SECONDS)
            remove_placement_group(group)


def _placed(count: int, cache_bytes: int) -> PlacementGroup:
    """Room for so many servers: on as many nodes, or spread as far as there are nodes.

    Raises:
        NoRoomError: the cluster has none.
    """
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    for strategy in ("STRICT_SPREAD", "SPREAD") if nodes >= count else ("SPREAD",):
        group: PlacementGroup = placement_group([{"memory": cache_bytes}] * count, strategy=strategy)
        try:
            ray.get(group.ready(), timeout=_PLACE_SECONDS)
        except GetTimeoutError:
            remove_placement_group(group)
        else:
            return group
    raise NoRoomError(f"the cluster has no room for {count} bank servers of {cache_bytes:,} bytes each; give fewer")
