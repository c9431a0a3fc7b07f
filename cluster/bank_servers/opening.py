"""A memory opened by bank servers for as long as a command runs.

Covers: a command's own session with Ray, its servers, the memory read through them. Does not cover: services, whose
replicas open it themselves (cluster/serve), jobs (cluster/recall_job.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.bank_servers.servers import bank_servers
from cluster.machine import local_cpus
from cluster.ray_session import ray_session
from memo_dist.ranges.memory import RangedMemory


@contextmanager
def memory_on_servers(
    path: Path, count: int, *, replicas: int | None = None, address: str | None = None
) -> Iterator[RangedMemory]:
    """A memory whose files `count` bank servers have open; its generation of now, to the end.

    Args:
        replicas: servers that have each range; see bank_servers. address: of a Ray cluster; None starts a local one.

    Raises:
        ConfigError: the memory has no ranges, or there is no cluster. DamagedMemoryError: a file is not whole.
        ClusterError: Ray does not start, or has no room.
    """
    with ray_session(address, local_cpus()), bank_servers(path, count, replicas=replicas) as servers:
        yield servers.open()
