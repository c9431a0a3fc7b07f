"""A recall job: a file of prompts -> a parquet file of continuations, on many actors, resumable.

Covers: what is asked, chunk by chunk, what the answers sum up to. Does not cover: chunks, actors and parts
(chunk_job.py), answering (recall_actor.py), reading prompts (memo_dist/recalling/prompts.py).
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.bank_servers.servers import bank_servers as servers_of
from cluster.chunk_job import ChunkJob, run_chunks, stamp_of
from cluster.machine import local_cpus
from cluster.ray_session import ray_session
from cluster.recall_actor import SCHEMA, RecallActor, Source
from memo_dist.files.opened import manifest_at, open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import PromptRow, read_prompts
from memo_dist.remote.address import told_elsewhere

CHUNK = 512  # prompts of a part


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
    bank_servers: int = 0,
    range_replicas: int | None = None,
    on_progress: Callable[[int], None] = lambda prompts: None,
) -> JobSummary:
    """Answer a file of prompts; a stopped job of the same output, memories, prompts and options is finished.

    Args:
        memories: one, or several that are asked together (memo_dist/recalling/several_session.py).
        actors: how many answer; None: one for each processor.
        bank_servers: actors that have the files of each memory between them, for those that answer to ask; 0: these
            open all of it. range_replicas: see cluster.bank_servers.
        on_progress: called with the number of prompts answered so far.

    Raises:
        ConfigError: a stopped job of `out` asked something else. OutputExistsError: `out` exists.
        InputError, PromptError: the prompts cannot be read. DamagedMemoryError: the memory is not whole.
        StorageError: a part cannot be written; the others stay. FencedError: another job writes `out`.
        StoppedError: SIGTERM came; parts that are written stay.
    """
    refuse_existing(out)
    asked = {str(path): path for path in ([memories] if isinstance(memories, Path) else memories)}
    digests = {name: manifest_at(path).digest for name, path in asked.items()}
    stops: Counter[str] = Counter()
    with ExitStack() as opened:
        sources = _sources(asked, opened, address=address, bank_servers=bank_servers, range_replicas=range_replicas)
        job = ChunkJob(
            name="recall job",
            place=out.with_name(f".{out.name}.recalling"),
            statement=_statement(digests, prompts, options),
            statement_file="recall.json",
            start=lambda executor: executor.start_worker(RecallActor, sources, options, digests),
            chunks=lambda: _chunks(prompts),
            schema=SCHEMA,
        )
        parts, before = run_chunks(
            job,
            out,
            actors=actors,
            address=address,
            on_progress=on_progress,
            on_part=lambda table: stops.update(table["stop"].to_pylist()),
        )
    return JobSummary(
        out=str(out),
        prompts=stops.total(),
        refused=stops["refused"],
        stops=dict(sorted((stop, count) for stop, count in stops.items() if count)),
        parts=parts,
        parts_before=before,
    )


def _sources(
    asked: dict[str, Path],
    opened: ExitStack,
    *,
    address: str | None,
    bank_servers: int,
    range_replicas: int | None,
) -> dict[str, Source]:
    """What actors open: paths, or bank servers until `opened` is closed."""
    if not bank_servers:
        for path in asked.values():
            with open_memory(path):
                pass  # damage is told here, by name, not by actors that cannot start
        return {name: told_elsewhere(path) for name, path in asked.items()}
    opened.enter_context(ray_session(address, local_cpus()))
    return {
        name: opened.enter_context(servers_of(path, bank_servers, replicas=range_replicas))
        for name, path in asked.items()
    }


def _statement(digests: dict[str, str], prompts: Path, options: RecallOptions) -> dict[str, Any]:
    size, changed = stamp_of(prompts)
    asked = {"prompts": str(prompts), "size": size, "changed": changed, "chunk": CHUNK}
    told = asdict(options)
    del told["count"]  # a row of answers has one continuation
    if not told["exact_prompt"]:  # statements of the first jobs do not say it
        del told["exact_prompt"]
    told["at_start"] = told.pop("from_start")  # as statements have said it since the first jobs
    memory = next(iter(digests.values())) if len(digests) == 1 else digests  # as jobs of one have always said it
    return {"memory": memory, **asked, "options": told}


def _chunks(prompts: Path) -> Iterator[list[PromptRow]]:
    rows = read_prompts(prompts)
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk
