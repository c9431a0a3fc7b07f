"""RangeKeeper: the actor that knows which bank servers are there, and says which of them owns what.

Covers: watching servers, giving ranges of lost ones to others, following a memory that changes. Does not cover: the
choice of owners (range_map.py), starting servers (servers.py), asking them (owners.py).

A map is told only after every owner in it has opened its ranges, and what a map no longer says stays open for a while,
for those who have not heard of the newer one. So whoever asks by any map that was told lately is answered, or is told
to ask for a newer one.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.bank_servers.copying import FileSource, NotSeenError
from cluster.bank_servers.range_map import RangeMap, choose_owners
from cluster.bank_servers.server import ServerState
from cluster.ray_session import unwrapped
from memo_dist.errors import ClusterError, MemoError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import read_tokenizer
from memo_dist.http.following import stamp_of
from memo_dist.ranges.plan import RangePlan
from memo_dist.tokenizer import Tokenizer

_ROUND_SECONDS = 1.0
_ANSWER_SECONDS = 3.0  # that a server may take to say how it is
_MISSES = 2  # rounds without an answer, after which a server counts as lost
_OPEN_SECONDS = 600.0  # that opening ranges may take
_GRACE_SECONDS = 30.0  # that what no map says any more stays open
_log = logging.getLogger("memo_dist.bank_servers")


@dataclass(frozen=True)
class Generation:
    """A memory as it is served.

    Attributes:
        manifest: of it. tokenizer: of it.
    """

    manifest: Manifest
    tokenizer: Tokenizer | None


@dataclass(frozen=True, kw_only=True)
class KeeperState:
    """What a keeper knows.

    Attributes:
        map: that is told. digest: of the memory that it is of.
        servers: how many there should be. states: of those that answer.
        sizes: of the ranges, in bytes. replicas: asked for. moves: maps so far.
        error: why the memory's newest generation is not served; "" where it is.
    """

    map: RangeMap
    digest: str
    servers: int
    states: list[ServerState]
    sizes: list[int]
    replicas: int
    moves: int
    error: str = ""


class RangeKeeper:
    """Keeps the ranges of one memory owned.

    Args:
        path: of the memory, which the keeper's node must see.
        servers: names of the bank servers, by number.
        replicas: servers that should own each range.
        follows: whether the memory's newest generation is served, once it changes; else the one that it had at first.
    """

    def __init__(self, path: str, servers: Sequence[str], *, replicas: int, follows: bool) -> None:
        self._path, self._replicas, self._follows = Path(path), replicas, follows
        self._servers = [ray.get_actor(name) for name in servers]
        self._stamp = stamp_of(self._path)  # before it is read: what is replaced meanwhile is noticed
        self._generation = self._read()
        self._map: RangeMap | None = None
        self._states: dict[int, ServerState] = {}
        self._source: Any = None
        self._chosen_of: list[int] = []  # the servers that were there when the map was made
        self._misses: dict[int, int] = {}  # rounds in which a server did not answer
        self._until = 0.0  # when what no map says is let go
        self._moves, self._error = 0, ""
        self._nudged, self._watching = threading.Event(), threading.Lock()

    def start(self) -> RangeMap:
        """Have every range opened, then watch; the first map.

        Raises:
            MemoError: as of the server that cannot open its ranges. ClusterError: no server answers.
        """
        self._look(_OPEN_SECONDS)
        found = self._move(self._living(), self._generation)
        self._begin()
        return found

    def _begin(self) -> None:
        if self._watching.acquire(blocking=False):
            threading.Thread(target=self._watch, daemon=True).start()

    def generation(self) -> Generation:
        """What the map that is told is of."""
        return self._generation

    def is_current(self, generation: str) -> bool:
        """Whether the directory still holds a generation, as far as can be told: a manifest that is damaged tells of no
        other."""
        try:
            return Manifest.read(self._path).generation == generation
        except MemoError:
            return True

    def view(self, known: int) -> RangeMap | None:
        """The map, if it is newer than the epoch that is known."""
        if self._map is None:  # Ray has started this keeper anew
            self._begin()
        return None if self._map is None or self._map.epoch <= known else self._map

    def lost(self, server: int, born: str = "") -> None:
        """Hear that a server did not answer: look now."""
        self._nudged.set()

    def state(self, *, memory: bool = False) -> KeeperState:
        """What is known now; with `memory`, servers are asked how much of it they have."""
        if memory:
            self._look(_ANSWER_SECONDS, memory=True)
        plan = RangePlan.of(self._generation.manifest)
        return KeeperState(
            map=self._map or RangeMap(0, self._generation.manifest.generation, ((),) * len(plan)),
            digest=self._generation.manifest.digest,
            servers=len(self._servers),
            states=[self._states[number] for number in sorted(self._states)],
            sizes=[plan.bytes(index) for index in range(len(plan))],
            replicas=self._replicas,
            moves=self._moves,
            error=self._error,
        )

    def _watch(self) -> None:
        while True:
            self._nudged.wait(_ROUND_SECONDS)
            self._nudged.clear()
            try:
                self._round()
            except Exception as error:  # whatever is wrong now may be right in a second, and nobody else looks
                self._error = f"{type(error).__name__}: {error}"
                _log.warning("%s", self._error)

    def _round(self) -> None:
        self._look(_ANSWER_SECONDS)
        living = self._living()
        self._follow(living)
        if self._map is None or living != self._chosen_of or self._bare(living):
            self._move(living, self._generation)
        elif time.monotonic() > self._until:
            self._drop(self._map)

    def _bare(self, living: list[int]) -> bool:
        """Whether a server has not open what it owns: Ray has started it anew."""
        assert self._map is not None
        states = {number: self._states.get(number) for number in living}
        told = self._map
        return any(
            state is not None and set(told.owned_by(number)) - set(state.owned.get(told.generation, ()))
            for number, state in states.items()
        )

    def _follow(self, living: list[int]) -> None:
        """Serve the memory's newest generation, if that is another than is served and can be."""
        stamp = stamp_of(self._path)
        if not self._follows or stamp == self._stamp:
            return
        try:
            newer = self._read()
            if newer.manifest != self._generation.manifest:
                self._move(living, newer)
        except MemoError as error:
            self._error = f"the memory has changed, and what it is now cannot be served: {error}"
        else:
            self._stamp, self._error = stamp, ""

    def _read(self) -> Generation:
        manifest = Manifest.read(self._path)
        RangePlan.of(manifest)
        return Generation(manifest, read_tokenizer(self._path, manifest))

    def _look(self, seconds: float, *, memory: bool = False) -> None:
        """Ask every server how it is."""
        asked: dict[Any, int] = {
            server.state.remote(memory=memory): number for number, server in enumerate(self._servers)
        }
        done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
        answered = set[int]()
        for reference in done:
            try:
                self._states[asked[reference]] = ray.get(reference)
                answered.add(asked[reference])
            except RayError as error:  # it is lost, or its node is
                _log.info("bank server %d does not answer: %s", asked[reference], type(error).__name__)
                self._misses[asked[reference]] = _MISSES
        for number in range(len(self._servers)):
            missed = 0 if number in answered else self._misses.get(number, 0) + 1
            self._misses[number] = missed
            if missed >= _MISSES:
                self._states.pop(number, None)

    def _living(self) -> list[int]:
        return sorted(self._states)

    def _sizes(self, plan: RangePlan) -> list[int]:
        return [plan.bytes(index) for index in range(len(plan))]

    def _move(self, living: list[int], generation: Generation) -> RangeMap:
        """Have the living own everything of a generation, and tell the map of that; until then all stays as it is.

        Raises:
            ClusterError: nobody is there.
        """
        plan, manifest = RangePlan.of(generation.manifest), generation.manifest
        shared = ray.put(manifest)
        while living:
            owners = choose_owners(self._sizes(plan), living, self._replicas)
            new = RangeMap(self._map.epoch + 1 if self._map else self._first_epoch(), manifest.generation, owners)
            lost = self._opened(new, living, shared)
            if not lost:
                self._until = time.monotonic() + _GRACE_SECONDS  # somebody may still ask by the map before
                self._generation, self._map, self._chosen_of = generation, new, living
                self._moves, self._error = self._moves + 1, ""
                return new
            living = [number for number in living if number not in lost]
        raise ClusterError(f"none of {len(self._servers)} bank servers answers")

    def _opened(self, new: RangeMap, living: list[int], manifest: Any) -> set[int]:
        """Have each server open what it owns; those that were lost meanwhile."""
        asked: dict[Any, int] = {
            self._servers[number].own.remote(manifest, new.owned_by(number), self._source): number for number in living
        }
        done, waiting = ray.wait(list(asked), num_returns=len(asked), timeout=_OPEN_SECONDS)
        lost = {asked[reference] for reference in waiting}
        for reference in done:
            number = asked[reference]
            try:
                self._states[number] = ray.get(reference)
            except RayTaskError as error:
                if not isinstance(error.cause, NotSeenError) or self._source is not None:
                    with unwrapped():
                        raise
                self._source = self._started_source()
                return self._opened(new, living, manifest)
            except RayError:  # it is lost, or its node is
                self._states.pop(number, None)
                lost.add(number)
        return lost

    def _started_source(self) -> Any:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        kind: Any = ray.remote(FileSource)
        options = kind.options(num_cpus=0, max_concurrency=8, max_restarts=-1, scheduling_strategy=here)
        return options.remote(str(self._path))

    def _drop(self, told: RangeMap) -> None:
        """Have servers let go of what the map does not say, also what a keeper before this one had them open."""
        asked = list[Any]()
        for number, state in list(self._states.items()):
            owned = {told.generation: told.owned_by(number)}
            if state.owned != owned:
                asked.append(self._servers[number].keep.remote(owned))
        if asked:  # before it is told to open others: calls may overtake each other
            ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_SECONDS)

    def _first_epoch(self) -> int:
        """An epoch that is higher than those of a keeper before this one, as after a restart."""
        return int(time.time() * 1000)
