"""The merge of a memory: sources -> shard files, by actors that take one range of banks after the other.

Covers: ranges, the actors, which files are there already. Does not cover: one file (merge_actor.py), what is done with
them (workspace.py).

A finished file has a record beside it in the workspace (`merged/`), so that an attempt after a loss, or a stop, makes
only what is missing. Its contents follow from the sources, so it does not matter who made it.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cluster.executor import Actor, Executor, Reference
from cluster.merge_actor import MergeActor, MergeSpec
from cluster.placement import bank_ranges
from cluster.run_maker import PATIENCE_SECONDS
from cluster.signals import StopRequest
from cluster.workspace import Workspace, Written
from memo_dist.durable import write_text, writing
from memo_dist.errors import DamagedMemoryError, StoppedError
from memo_dist.files.manifest import FileRecord, ShardRecord
from memo_dist.files.segment_reader import SegmentReader
from memo_dist.files.shard_reader import ShardReader
from memo_dist.json_text import parse_json

_STEP_SECONDS = 1.0  # between looks at whether a stop was asked for
_OPEN_FILES = 256  # of runs, by all actors: they may be threads of one process, which often may open 1,024


class MergePhase:
    """The shard files of a memory.

    Args:
        spec: what they are made of.
        workspace: where they are.
        files: how many.
        actors: how many work at a time. memory_bytes: that each takes; None: that is not looked at.
        stop: no other file is begun once it is requested.
        ranges: the banks of each; None: equal ones.
        only: of the files, those that are made; others are somebody else's.
        on_file: called with how many are done, how many there are, and whether one was made just now.

    Attributes:
        peaks: bytes, of each actor.
    """

    def __init__(
        self,
        spec: MergeSpec,
        workspace: Workspace,
        *,
        files: int,
        actors: int,
        memory_bytes: int | None,
        executor: Executor,
        stop: StopRequest,
        on_file: Callable[[int, int, bool], None],
        ranges: list[range] | None = None,
        only: slice = slice(None),
    ) -> None:
        self._spec, self._workspace = replace(spec, open_files=_OPEN_FILES // actors), workspace
        self._every = ranges or bank_ranges(spec.config.num_banks, min(files, spec.config.num_banks))
        self._ranges = self._every[only]
        self._actors, self._memory_bytes = actors, memory_bytes
        self._executor, self._stop, self._on_file = executor, stop, on_file
        self._done: dict[range, tuple[ShardRecord, np.ndarray]] = {}
        self.peaks: list[int] = []

    def to_the_end(self) -> Written:
        """Make what is missing; what the writer of each file returned, in order of banks.

        Raises:
            StoppedError: a stop was asked for; finished files are kept.
            ClusterError: an actor or a node was lost; finished files are kept.
            MemoError: see merge_into.
        """
        missing = self._missing()
        self._on_file(len(self._done), len(self._ranges), False)
        actors = [self._start() for _ in range(min(self._actors, len(missing)))]
        try:
            self._make(missing, actors)
            self.peaks = self._executor.get([self._executor.call(actor, "peak_bytes") for actor in actors])
        finally:
            for actor in actors:
                self._executor.end_actor(actor)
        return [self._done[banks] for banks in self._ranges]

    def missing(self) -> list[int]:
        """The numbers of the files that are not there."""
        return [self._every.index(banks) for banks in self._missing()]

    def _missing(self) -> list[range]:
        with writing(self._place):
            self._place.mkdir(exist_ok=True)
        return [banks for banks in self._ranges if not self._found(banks)]

    @property
    def _place(self) -> Path:
        return self._workspace.merged

    def _start(self) -> Actor:
        gpu = self._spec.device == "gpu"
        return self._executor.start_actor(MergeActor, self._spec, memory_bytes=self._memory_bytes, gpu=gpu)

    def _make(self, missing: list[range], actors: list[Actor]) -> None:
        waiting, under_way = list(reversed(missing)), dict[Reference, tuple[range, Actor]]()
        idle, patience = list(actors), PATIENCE_SECONDS
        while waiting or under_way:
            while waiting and idle and not self._stop.requested:
                banks, actor = waiting.pop(), idle.pop()
                under_way[self._begin(banks, actor)] = banks, actor
            if not under_way or patience <= 0:  # a file that is not finished is made again
                raise StoppedError(f"stopped as asked, with {len(self._done)} of {len(self._ranges)} files written")
            reference = self._executor.wait(list(under_way), _STEP_SECONDS)
            if reference is None:
                patience -= _STEP_SECONDS if self._stop.requested else 0
                continue
            banks, actor = under_way.pop(reference)
            (made,) = self._executor.get([reference])
            self._keep(banks, *made)
            idle.append(actor)

    def _begin(self, banks: range, actor: Actor) -> Reference:
        path = self._workspace.path / self._workspace.shard_file(self._every.index(banks))
        return self._executor.call(actor, "merge", str(path.absolute()), banks)

    def _keep(self, banks: range, record: ShardRecord, digests: np.ndarray) -> None:
        with writing(self._place):
            write_text(self._record_of(banks), json.dumps(asdict(record)), shared=True)
        self._done[banks] = record, digests
        self._on_file(len(self._done), len(self._ranges), True)

    def _record_of(self, banks: range) -> Path:
        return self._place / f"{banks.start}-{banks.stop}-of-{self._spec.config.num_banks}.json"

    def _found(self, banks: range) -> bool:
        """Whether an attempt before has made the file of some banks, whole."""
        try:
            values = parse_json(self._record_of(banks).read_text(encoding="utf-8"))
            record = ShardRecord(**{**values, "documents": FileRecord(**values["documents"])})
            path, spec = self._workspace.path / record.file, self._spec
            kind = ShardReader if spec.beside is None else SegmentReader
            reader = kind(path, record, spec.config, tokenizer_hash=spec.tokenizer_hash)
            self._done[banks] = record, reader.digests
            reader.close()
        except (OSError, ValueError, TypeError, KeyError, DamagedMemoryError):
            return False
        return True
