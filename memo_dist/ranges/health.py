"""RangesHealth: how the bank servers of a memory are, and who has its ranges, as a service tells it.

Covers: what is told. Does not cover: finding it out (cluster/bank_servers/keeper.py), HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RangesHealth:
    """Bank servers of one memory.

    Attributes:
        epoch: of the map that says who owns what. digest: of the memory that is served.
        servers: how many there should be. up: numbers of those that answer.
        owners: of each range, the servers that have it open, of those that should.
        replicas: how many owners each range should have.
        rows: that each range was asked so far. sizes: of each range, in bytes.
        calls, seconds, held_bytes: of each server that is up: questions, time for them, its memory.
        error: why the memory's newest generation is not served; "" where it is.
    """

    epoch: int
    digest: str
    servers: int
    up: Sequence[int]
    owners: Sequence[Sequence[int]]
    replicas: int
    rows: Sequence[int]
    sizes: Sequence[int]
    calls: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    held_bytes: dict[int, int] = field(default_factory=dict)
    error: str = ""

    @property
    def bare(self) -> list[int]:
        """Ranges that nobody has open."""
        return [index for index, owners in enumerate(self.owners) if not owners]

    @property
    def thin(self) -> list[int]:
        """Ranges that fewer have open than should."""
        return [index for index, owners in enumerate(self.owners) if 0 < len(owners) < self.replicas]

    def summary(self) -> dict[str, Any]:
        """For anybody who may ask whether the service is well."""
        return {
            "epoch": self.epoch,
            "servers": self.servers,
            "servers_up": len(self.up),
            "ranges": len(self.owners),
            "replicas": self.replicas,
            "without_owner": self.bare,
            "with_fewer_owners": self.thin,
            **({"error": self.error} if self.error else {}),
        }
