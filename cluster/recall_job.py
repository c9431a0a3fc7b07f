"""A recall job: a file of prompts -> a parquet file of continuations, on many actors, resumable.

Covers: chunks, actors that come and go, parts on disk, the finished file. Does not cover: answering
(recall_actor.py), reading prompts (memo_dist/recalling/prompts.py).

Prompts are cut into chunks by their order in the file; each chunk's answers are a part, written under a temporary name
and renamed, in `.OUT.recalling/` beside the output. A job that was stopped or killed asks only for the parts that are
not there. When all are, they become the row groups of one file, in the order of the prompts. So the file does not
depend on how often the job was stopped, nor on which actor answered what.
"""

import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.exceptions import RayActorError

from cluster.executor import Actor
from cluster.losses import IN_A_ROW, Losses
from cluster.machine import local_cpus
from cluster.ray_executor import RayExecutor
from cluster.ray_session import ray_session
from cluster.recall_actor import SCHEMA, RecallActor
from cluster.run_maker import PATIENCE_SECONDS
from cluster.signals import StopRequest, stop_on_sigterm
from cluster.statement import require_same
from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import ClusterError, DamagedMemoryError, StoppedError
from memo_dist.files.generations import locked
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.json_text import parse_json
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import PromptRow, read_prompts

CHUNK = 512  # prompts of a part
_STATEMENT = "recall.json"


@dataclass(frozen=True)
class JobSummary:
    """What a job did: `refused` counts the prompts that could not be asked, of which the column `error` says why;
    `parts_before` counts the parts that an earlier run of the job had written."""

    out: str
    prompts: int
    refused: int
    stops: dict[str, int]
    parts: int
    parts_before: int


def recall_file(
    memories: Path | Sequence[Path],
    prompts: Path,
    out: Path,
    *,
    options: RecallOptions,
    actors: int | None = None,
    address: str | None = None,
    on_progress: Callable[[int], None] = lambda prompts: None,
) -> JobSummary:
    """Answer a file of prompts; a stopped job of the same output, memories, prompts and options is finished.

    Args:
        memories: one, or several that are asked together (memo_dist/recalling/several_session.py).
        actors: how many answer; None: one for each processor.
        on_progress: called with the number of prompts answered so far.

    Raises:
        ConfigError: a stopped job of `out` asked something else. OutputExistsError: `out` exists.
        InputError, PromptError: the prompts cannot be read. DamagedMemoryError: the memory is not whole.
        StorageError: a part cannot be written; the others stay. FencedError: another job writes `out`.
        StoppedError: SIGTERM came; parts that are written stay.
    """
    refuse_existing(out)
    place = out.with_name(f".{out.name}.recalling")
    asked = {str(path): path for path in ([memories] if isinstance(memories, Path) else memories)}
    for path in asked.values():
        with open_memory(path):
            pass  # damage is told here, by name, not by actors that cannot start
    statement = _statement(asked, prompts, options)
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with locked(place, wait=False):  # parts are named by number alone
        refuse_existing(out)
        if (place / _STATEMENT).exists():
            require_same(statement, _statement_of(place), out, what_stopped="recall job", place=place)
        with writing(place):
            write_text(place / _STATEMENT, json.dumps(statement, indent=1))
        parts_before = len(list(place.glob("part-*.parquet")))
        with _parts_kept(), stop_on_sigterm() as stop, ray_session(address, local_cpus()):
            count = actors or local_cpus()
            job = _Job(asked, place, options=options, count=count, stop=stop, on_progress=on_progress)
            try:
                parts = job.run(_chunks(prompts))
            finally:
                job.release()
        return _finished(place, out, parts=parts, before=parts_before)


def _statement(memories: dict[str, Path], prompts: Path, options: RecallOptions) -> dict[str, Any]:
    try:
        stamp = prompts.stat()
        size, changed = stamp.st_size, stamp.st_mtime_ns
    except OSError:
        size = changed = 0  # reading it will say what is wrong
    asked = {"prompts": str(prompts), "size": size, "changed": changed, "chunk": CHUNK}
    told = asdict(options)
    del told["count"]  # a row of answers has one continuation
    if not told["exact_prompt"]:  # statements of the first jobs do not say it
        del told["exact_prompt"]
    told["at_start"] = told.pop("from_start")  # as statements have said it since the first jobs
    digests = {name: Manifest.read(path).digest for name, path in memories.items()}
    memory = next(iter(digests.values())) if len(digests) == 1 else digests  # as jobs of one have always said it
    return {"memory": memory, **asked, "options": told}


def _statement_of(place: Path) -> dict[str, Any]:
    """What a stopped job was asked."""
    try:
        said: dict[str, Any] = parse_json((place / _STATEMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedMemoryError(
            f"{place / _STATEMENT}, left by a stopped job, cannot be read ({error}); remove {place} to start anew"
        ) from error
    return said


@contextmanager
def _parts_kept() -> Iterator[None]:
    """Say after a stop or a loss that the job can go on."""
    try:
        yield
    except (StoppedError, ClusterError) as error:
        error.add_note("Parts that are written are kept; the same command goes on from there.")
        raise


def _chunks(prompts: Path) -> Iterator[list[PromptRow]]:
    rows = read_prompts(prompts)
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


class _Job:
    """Chunks to actors and answers to parts, two chunks for each actor under way."""

    def __init__(
        self,
        memories: dict[str, Path],
        place: Path,
        *,
        options: RecallOptions,
        count: int,
        stop: StopRequest,
        on_progress: Callable[[int], None],
    ) -> None:
        self._executor, self._stop = RayExecutor(), stop
        self._memories = {name: str(path.absolute()) for name, path in memories.items()}
        self._place, self._options = place, options
        self._count, self._on_progress = count, on_progress
        self._actors: list[Any] = []
        self._waiting: dict[Any, tuple[int, list[PromptRow], int]] = {}  # answer -> part, its prompts, actor
        self._answered = 0
        self._losses, self._progressed = Losses(IN_A_ROW * 2 * count), True  # an actor is lost with two chunks

    def run(self, chunks: Iterator[list[PromptRow]]) -> int:
        """Write every part that is not there; returns how many there are."""
        self._actors = [self._start() for _ in range(self._count)]
        parts = 0
        for index, chunk in enumerate(chunks):
            if self._stop.requested:
                self._drain()
                raise StoppedError("stopped as asked")
            parts = index + 1
            if part_path(self._place, index).exists():
                self._count_answers(len(chunk))
                continue
            while len(self._waiting) >= 2 * self._count:
                self._take()
            busy = [actor for _, _, actor in self._waiting.values()]
            self._ask(index, chunk, min(range(self._count), key=busy.count))
        while self._waiting and not self._stop.requested:
            self._take()
        self._drain()
        if self._waiting:
            raise StoppedError("stopped as asked")
        return parts

    def release(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._executor.end_actor(actor)

    def _start(self) -> Actor:
        return self._executor.start_worker(RecallActor, self._memories, self._options)

    def _ask(self, index: int, chunk: list[PromptRow], actor: int) -> None:
        answer = self._executor.call(self._actors[actor], "answer", chunk)
        self._waiting[answer] = (index, chunk, actor)

    def _drain(self) -> None:
        """After a stop: take what is answered soon; what is not is asked again by the next attempt."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._waiting and time.monotonic() < until:
            self._take(1.0)

    def _take(self, timeout: float | None = None) -> None:
        done = self._executor.wait(list(self._waiting), timeout)
        if done is None:
            return
        index, chunk, actor = self._waiting.pop(done)
        try:
            (table,) = self._executor.get([done])
        except RayActorError as error:
            self._replace(actor, error)
            self._ask(index, chunk, actor)
            return
        _write_part(table, part_path(self._place, index))
        self._progressed = True
        self._count_answers(len(chunk))

    def _replace(self, actor: int, error: RayActorError) -> None:
        """A new actor in the place of a lost one; what the lost one was asked comes back as lost, too."""
        goes_on, self._progressed = self._losses.add(progressed=self._progressed), False
        if not goes_on:
            raise ClusterError(f"actors die again and again: {error}. The parts that are done are kept") from error
        self._actors[actor] = self._start()

    def _count_answers(self, count: int) -> None:
        self._answered += count
        self._on_progress(self._answered)


def part_path(place: Path, index: int) -> Path:
    return place / f"part-{index:07d}.parquet"


def _write_part(table: pa.Table, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    with writing(path):
        pq.write_table(table, temporary)
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        temporary.rename(path)
        sync_directory(path.parent)


def _finished(place: Path, out: Path, *, parts: int, before: int) -> JobSummary:
    """Put the parts together, a row group each, and publish the file by a rename."""
    temporary, rows = place / "whole.tmp", 0
    stops: dict[str, int] = {}
    with writing(out):
        with pq.ParquetWriter(temporary, SCHEMA) as writer:
            for index in range(parts):
                table = pq.read_table(part_path(place, index), schema=SCHEMA)
                writer.write_table(table, row_group_size=CHUNK)
                rows += len(table)
                for stop in table["stop"].to_pylist():
                    stops[stop] = stops.get(stop, 0) + 1
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        refuse_existing(out)
        temporary.rename(out)
        sync_directory(out.parent)
        shutil.rmtree(place)
    return JobSummary(
        out=str(out),
        prompts=rows,
        refused=stops.get("refused", 0),
        stops=dict(sorted(stops.items())),
        parts=parts,
        parts_before=before,
    )
