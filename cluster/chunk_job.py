"""A job in chunks: a file of questions -> a parquet file of answers, on many actors, resumable.

Covers: actors that come and go, parts on disk, the finished file. Does not cover: what is asked and answered
(recall_job.py, contamination_job.py).

What is asked is cut into chunks by its order; each chunk's answers are a part, written under a temporary name and
renamed, in a hidden folder beside the output. A job that was stopped or killed asks only for the parts that are not
there. When all are, they become the row groups of one file, in order. So the file does not depend on how often the job
was stopped, nor on which actor answered what.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from cluster.run_maker import PATIENCE_SECONDS
from cluster.signals import StopRequest, stop_on_sigterm
from cluster.statement import require_same
from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import ClusterError, DamagedMemoryError, StoppedError
from memo_dist.files.generations import locked
from memo_dist.files.staging import refuse_existing
from memo_dist.json_text import parse_json

Start = Callable[[RayExecutor], Actor]  # an actor whose method `answer` takes a chunk and gives its table


@dataclass(frozen=True, kw_only=True)
class ChunkJob:
    """What a job asks, and of whom.

    Attributes:
        name: "recall job". place: the folder of its parts. statement: what must be the same to go on with it; it is
            kept there as the file `statement_file`.
        start: a new actor. chunks: what is asked, from the beginning, each time it is called.
        schema: of the answers.
    """

    name: str
    place: Path
    statement: dict[str, Any]
    statement_file: str
    start: Start
    chunks: Callable[[], Iterator[list[Any]]]
    schema: pa.Schema


def run_chunks(
    job: ChunkJob,
    out: Path,
    *,
    actors: int | None,
    address: str | None,
    on_progress: Callable[[int], None],
    on_part: Callable[[pa.Table], None],
) -> tuple[int, int]:
    """Answer all chunks into `out`; how many parts there are, and how many of them an earlier run had written.

    Args:
        actors: how many answer; None: one for each processor.
        on_progress: called with the number of rows answered so far. on_part: with each part, in order, at the end.

    Raises:
        ConfigError: a stopped job of `out` asked something else. OutputExistsError: `out` exists.
        StorageError: a part cannot be written; the others stay. FencedError: another job writes `out`.
        StoppedError: SIGTERM came; parts that are written stay.
    """
    place, statement = job.place, job.place / job.statement_file
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with locked(place, wait=False):  # parts are named by number alone
        refuse_existing(out)
        if statement.exists():
            require_same(job.statement, _statement_of(statement), out, what_stopped=job.name, place=place)
        with writing(place):
            write_text(statement, json.dumps(job.statement, indent=1))
        before = len(list(place.glob("part-*.parquet")))
        with _parts_kept(), stop_on_sigterm() as stop, ray_session(address, local_cpus()):
            running = _Job(job.start, place, count=actors or local_cpus(), stop=stop, on_progress=on_progress)
            try:
                parts = running.run(job.chunks())
            finally:
                running.release()
        _finish(job, out, parts=parts, on_part=on_part)
    return parts, before


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of a file's last change; zeros of one that cannot be looked at, of which reading will say why."""
    try:
        stamp = path.stat()
    except OSError:
        return 0, 0
    return stamp.st_size, stamp.st_mtime_ns


def _statement_of(path: Path) -> dict[str, Any]:
    """What a stopped job was asked."""
    try:
        said: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedMemoryError(
            f"{path}, left by a stopped job, cannot be read ({error}); remove {path.parent} to start anew"
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


class _Job:
    """Chunks to actors and answers to parts, two chunks for each actor under way."""

    def __init__(
        self,
        start: Start,
        place: Path,
        *,
        count: int,
        stop: StopRequest,
        on_progress: Callable[[int], None],
    ) -> None:
        self._executor, self._stop = RayExecutor(), stop
        self._new, self._place = start, place
        self._count, self._on_progress = count, on_progress
        self._actors: list[Any] = []
        self._waiting: dict[Any, tuple[int, list[Any], int]] = {}  # answer -> part, what it was asked, actor
        self._answered = 0
        self._losses, self._progressed = Losses(IN_A_ROW * 2 * count), True  # an actor is lost with two chunks

    def run(self, chunks: Iterator[list[Any]]) -> int:
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
        return self._new(self._executor)

    def _ask(self, index: int, chunk: list[Any], actor: int) -> None:
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


def _finish(job: ChunkJob, out: Path, *, parts: int, on_part: Callable[[pa.Table], None]) -> None:
    """Put the parts together, a row group each, and publish the file by a rename."""
    temporary = job.place / "whole.tmp"
    with writing(out):
        with pq.ParquetWriter(temporary, job.schema) as writer:
            for index in range(parts):
                table = pq.read_table(part_path(job.place, index), schema=job.schema)
                writer.write_table(table, row_group_size=max(1, len(table)))
                on_part(table)
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        refuse_existing(out)
        temporary.rename(out)
        sync_directory(out.parent)
        shutil.rmtree(job.place)
