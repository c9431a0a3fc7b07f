"""FollowedServers: a memory that bank servers have open, as they serve it now.

Covers: noticing that they serve another generation, their health for a service. Does not cover: their own following of
the directory (keeper.py).
"""

import time

from cluster.bank_servers.keeper import KeeperState
from cluster.bank_servers.owners import BankServers
from memo_dist.ranges.health import RangesHealth
from memo_dist.ranges.memory import RangedMemory

_LOOK_SECONDS = 1.0


class FollowedServers:
    """Gives the memory, the same object until it has changed.

    Args:
        servers: of the memory.
    """

    def __init__(self, servers: BankServers) -> None:
        self._servers = servers
        self._memory, self._owners = servers.opened()
        self._looked = time.monotonic()

    def __call__(self) -> RangedMemory:
        """The memory as it is served now, or was a second ago."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            if self._owners.refresh():
                self._memory, self._owners = self._servers.opened()
        return self._memory


def health_of(state: KeeperState) -> RangesHealth:
    """What a keeper knows, as a service tells it."""
    rows = [0] * len(state.sizes)
    for one in state.states:
        for index, count in one.rows.items():
            if index < len(rows):
                rows[index] += count
    has = {one.number: set(one.owned.get(state.map.generation, ())) for one in state.states}
    return RangesHealth(
        epoch=state.map.epoch,
        digest=state.digest,
        servers=state.servers,
        up=[one.number for one in state.states],
        owners=[
            [number for number in owners if index in has.get(number, ())]
            for index, owners in enumerate(state.map.owners)
        ],
        replicas=state.replicas,
        rows=rows,
        sizes=state.sizes,
        calls={one.number: one.calls for one in state.states},
        seconds={one.number: one.seconds for one in state.states},
        held_bytes={one.number: one.pss_bytes for one in state.states if one.pss_bytes},
        error=state.error,
    )
