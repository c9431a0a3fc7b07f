"""RayOwners: the bank servers of a memory, as whoever answers prompts asks them.

Covers: choosing an owner of each range, one call to each owner, asking another where one is lost, hearing of newer
maps. Does not cover: who owns what (keeper.py), what is asked (memo_dist/ranges).
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import (
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from cluster.bank_servers.keeper import Generation, KeeperState
from cluster.bank_servers.range_map import RangeMap
from cluster.bank_servers.server import NotMine
from cluster.ray_session import unwrapped
from memo_dist.errors import ClusterError, ReplacedError
from memo_dist.ranges.memory import RangedMemory
from memo_dist.ranges.rows import rows_of

_LOST = (RayActorError, NodeDiedError, ObjectLostError, WorkerCrashedError)
_PATIENCE_SECONDS = 120.0  # with which a range is asked for of whoever comes to own it
_HANGS_SECONDS = 15.0  # after which a server that does not answer is passed over
_LONG = frozenset({"verify", "digests"})  # questions that take as long as they take
_AGAIN_SECONDS = 0.1
_BUSIER = 2  # calls under way, by which the first owner may have more than the next one


class RayOwners:
    """Asks bank servers; see memo_dist.ranges.owners.Owners. Safe to share between threads.

    Args:
        keeper, servers: handles. map: as the keeper has told it.
    """

    def __init__(self, keeper: Any, servers: Sequence[Any], map: RangeMap) -> None:
        self._keeper, self._servers, self._map = keeper, servers, map
        self._under_way, self._lock = Counter[int](), threading.Lock()
        self.calls = self.retries = 0

    @property
    def map(self) -> RangeMap:
        """By which they are asked."""
        return self._map

    def refresh(self) -> bool:
        """Hear of a newer map; whether the memory has become another, which these owners do not ask for.

        Raises:
            ClusterError: the keeper is gone.
        """
        try:
            found = ray.get(self._keeper.view.remote(self._map.epoch), timeout=_HANGS_SECONDS)
        except (*_LOST, GetTimeoutError):
            return False  # it comes back; what is known may do
        if found is None:
            return False
        if found.generation != self._map.generation:
            return True
        self._map = found
        return False

    def ask(self, question: str, ranges: np.ndarray, **columns: np.ndarray) -> list[tuple[np.ndarray, Any]]:
        """See Owners.ask.

        Raises:
            ClusterError: nobody has come to own a range for two minutes. ReplacedError: the memory has become another.
        """
        answers: list[tuple[np.ndarray, Any]] = []
        left, avoided = np.arange(len(ranges)), set[int]()
        until, epoch = time.monotonic() + _PATIENCE_SECONDS, self._map.epoch
        while len(left):
            chosen = self._chosen(ranges[left], avoided)
            asked = {}
            for server, rows in rows_of(chosen + 1):
                if server:
                    mine = left[rows]
                    some = {name: column[mine] for name, column in columns.items()}
                    asked[self._sent(server - 1, question, ranges[mine], **some)] = server - 1, mine
            found, lost = self._gathered(asked, None if question in _LONG else _HANGS_SECONDS)
            answers += found
            done = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in found)])
            left = np.setdiff1d(left, done)
            if not len(left):
                break
            avoided |= lost
            if time.monotonic() > until:
                numbers = sorted(set(ranges[left].tolist()))
                told = f"no bank server has answered for ranges {numbers} for {_PATIENCE_SECONDS:.0f} s"
                raise ClusterError(told + self._keeper_says())
            if self.refresh():
                raise ReplacedError("the memory was changed while it was asked; ask again")
            if self._map.epoch != epoch:
                epoch, avoided = self._map.epoch, set()
            elif not lost:
                time.sleep(_AGAIN_SECONDS)
                avoided = set()
        return answers

    def _chosen(self, ranges: np.ndarray, avoided: set[int]) -> np.ndarray:
        """The server that each row is asked of; -1 where nobody is left to be asked."""
        owners = self._map.owners
        wanted = np.unique(ranges)
        best = np.full(len(wanted), -1)
        for row, index in enumerate(wanted.tolist()):
            able = [server for server in owners[index] if server not in avoided]
            if able:
                least = min(self._under_way[server] for server in able)
                best[row] = next(one for one in able if self._under_way[one] < least + _BUSIER)
        return best[np.searchsorted(wanted, ranges)]

    def _sent(self, server: int, question: str, ranges: np.ndarray, **columns: np.ndarray) -> Any:
        with self._lock:
            self._under_way[server] += 1
            self.calls += 1
        return self._servers[server].ask.remote(self._map.generation, question, ranges, **columns)

    def _gathered(
        self, asked: dict[Any, tuple[int, np.ndarray]], seconds: float | None
    ) -> tuple[list[tuple[np.ndarray, Any]], set[int]]:
        """(rows, answer) of the calls that were answered, and the servers that were lost or do not have a range."""
        found, lost = [], set[int]()
        try:
            done, hanging = ray.wait(list(asked), num_returns=len(asked), timeout=seconds) if asked else ([], [])
            lost |= {asked[reference][0] for reference in hanging}
            for reference in done:
                server, rows = asked[reference]
                try:
                    answer = ray.get(reference)
                except RayTaskError as error:
                    self._raise_cause(error)
                except _LOST:
                    lost.add(server)
                    continue
                if isinstance(answer, NotMine):
                    lost.add(server)
                else:
                    found.append((rows, answer))
        finally:
            with self._lock:
                for server, _ in asked.values():
                    self._under_way[server] -= 1
        if lost:
            self.retries += len(lost)
            for server in lost:
                self._keeper.lost.remote(server)
        return found, lost

    def _keeper_says(self) -> str:
        """Why servers cannot open what they should, if the keeper knows."""
        try:
            state: KeeperState = ray.get(self._keeper.state.remote(), timeout=_HANGS_SECONDS)
        except (*_LOST, GetTimeoutError):
            return "; nor does their keeper answer"
        return f": {state.error}" if state.error else ""

    def _raise_cause(self, error: RayTaskError) -> None:
        """Raise what a server raised.

        Raises:
            ReplacedError: it could not read files, for the directory holds another generation by now.
        """
        try:
            with unwrapped():
                raise error
        except OSError as cause:
            if ray.get(self._keeper.is_current.remote(self._map.generation)):
                raise
            raise ReplacedError("the memory was changed while it was asked; ask again") from cause


class BankServers:
    """The bank servers of a memory, as a value that may be sent to other processes of the cluster.

    Args:
        path: what the memory is called. keeper, servers: handles.
    """

    def __init__(self, path: str, keeper: Any, servers: Sequence[Any]) -> None:
        self.path, self._keeper, self._servers = path, keeper, list(servers)

    def open(self) -> RangedMemory:
        """The memory as it is served now."""
        return self.opened()[0]

    def opened(self) -> tuple[RangedMemory, RayOwners]:
        """The same, with those who are asked for it.

        Raises:
            ClusterError: the keeper is gone.
        """
        while True:
            with unwrapped():
                found: Generation = ray.get(self._keeper.generation.remote())
                told: RangeMap | None = ray.get(self._keeper.view.remote(0))
            if told is not None and told.generation == found.manifest.generation:
                owners = RayOwners(self._keeper, self._servers, told)
                return RangedMemory(Path(self.path), found.manifest, found.tokenizer, owners=owners), owners
            time.sleep(_AGAIN_SECONDS)  # it is changing now

    def state(self, *, memory: bool = False) -> KeeperState:
        """How they are."""
        with unwrapped():
            found: KeeperState = ray.get(self._keeper.state.remote(memory=memory))
        return found
