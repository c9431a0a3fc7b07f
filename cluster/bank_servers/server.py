"""BankServer: an actor that has opened some ranges of a memory and answers for them.

Covers: opening and dropping ranges as the keeper says, of two generations at once, counting what is asked. Does not
cover: what a range answers (memo_dist/ranges), which it owns (keeper.py), files that its node does not see
(copying.py).

Reading changes nothing, so a question may be asked again of any owner. A server that is started again has nothing open:
it says that a range is not its own until the keeper has told it what is.
"""

import os
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from threadpoolctl import threadpool_limits

from cluster.bank_servers.copying import copy_files, sees
from memo_dist.files.manifest import Manifest
from memo_dist.ranges.part import MemoryPart, RangeNotOpenError
from memo_dist.ranges.plan import RangePlan


@dataclass(frozen=True)
class NotMine:
    """The answer to a question for a range that the server does not own."""

    server: int


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """How a server is.

    Attributes:
        number: of the server. pid, node: of its process. born: another one after each start.
        owned: the ranges that it has open, by the generation of their memory.
        under_way: questions that are being answered. calls, seconds: of all questions so far.
        rows: asked of each range. pss_bytes: of the process, if that was asked, else 0.
    """

    number: int
    pid: int
    node: str
    born: str
    owned: dict[str, list[int]]
    under_way: int
    calls: int
    seconds: float
    rows: dict[int, int]
    pss_bytes: int = 0


@dataclass
class _Counts:
    under_way: int = 0
    calls: int = 0
    seconds: float = 0.0
    rows: Counter[int] = field(default_factory=Counter)


class BankServer:
    """Answers for ranges.

    Args:
        number: among the servers of a memory. path: of the memory.
        place: a name for the folder of copies, where its node does not see the path.
        cache_bytes: see MemoryPart.
    """

    def __init__(self, number: int, path: str, *, place: str, cache_bytes: int) -> None:
        threadpool_limits(1)
        self._number, self._path, self._cache = number, Path(path), cache_bytes
        self._copies = Path(tempfile.gettempdir()) / place / f"server-{number}"
        self._born, self._counts, self._lock = uuid.uuid4().hex, _Counts(), threading.Lock()
        self._opening = threading.Lock()
        self._parts: dict[str, MemoryPart] = {}

    def own(self, manifest: Manifest, ranges: Sequence[int], source: Any = None) -> ServerState:
        """Open these ranges of a generation, beside what is open.

        Args:
            source: a FileSource; None where every node sees the path.

        Raises:
            DamagedMemoryError: a file is not whole. NotSeenError: this node does not see the files, and no source is
                given.
        """
        with self._opening:
            generation = manifest.generation
            part = self._parts.get(generation)
            directory, plan = self._path, RangePlan.of(manifest)
            if not sees(directory, manifest):
                directory = self._copies / generation
                new = [index for index in ranges if part is None or index not in part.ranges]
                copy_files([record for index in new for record in plan.files(index)], directory, source)
            if part is None:
                part = MemoryPart(directory, manifest, cache_bytes=self._cache)
            part.own(ranges)
            part.warm(ranges)
            self._parts[generation] = part
        return self.state()

    def keep(self, owned: dict[str, list[int]]) -> ServerState:
        """Let go of all ranges but these, by the generation of their memory, and of copies that no other has."""
        with self._opening:
            for generation, part in list(self._parts.items()):
                part.drop([index for index in part.ranges if index not in owned.get(generation, ())])
                if generation not in owned:
                    del self._parts[generation]
            for copy in self._copies.glob("*"):
                if copy.name not in owned:
                    shutil.rmtree(copy, ignore_errors=True)
        return self.state()

    def ask(self, generation: str, question: str, ranges: np.ndarray, **columns: np.ndarray) -> Any:
        """What a MemoryPart of a generation answers, or NotMine."""
        part, began, counts = self._parts.get(generation), time.perf_counter(), self._counts
        if part is None:
            return NotMine(self._number)
        with self._lock:
            counts.under_way += 1
        try:
            return part.answer(question, ranges, **columns)
        except RangeNotOpenError:
            return NotMine(self._number)
        finally:
            numbers, asked = np.unique(ranges, return_counts=True)
            with self._lock:
                counts.under_way -= 1
                counts.calls += 1
                counts.seconds += time.perf_counter() - began
                counts.rows.update(dict(zip(numbers.tolist(), asked.tolist(), strict=True)))

    def close(self) -> None:
        """Remove what was copied."""
        shutil.rmtree(self._copies.parent, ignore_errors=True)

    def state(self, *, memory: bool = False) -> ServerState:
        """How it is; with `memory` also how much of the machine's it has, which takes longer to find."""
        with self._lock:
            counts = self._counts
            return ServerState(
                number=self._number,
                pid=os.getpid(),
                node=ray.get_runtime_context().get_node_id(),
                born=self._born,
                owned={generation: part.ranges for generation, part in list(self._parts.items())},
                under_way=counts.under_way,
                calls=counts.calls,
                seconds=counts.seconds,
                rows=dict(counts.rows),
                pss_bytes=pss_bytes() if memory else 0,
            )


def pss_bytes() -> int:
    """The proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
