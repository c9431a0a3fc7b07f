"""A contamination job: a file of items -> a parquet file of verdicts, on many actors, resumable.

Covers: what is asked, chunk by chunk, the report on what came out. Does not cover: chunks, actors and parts
(chunk_job.py), verdicts (memo_dist/recalling/contamination.py), reading items (memo_dist/recalling/items.py).
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cluster.chunk_job import ChunkJob, run_chunks, stamp_of
from cluster.contamination_actor import SCHEMA, ContaminationActor
from memo_dist.files.opened import manifest_at
from memo_dist.files.staging import refuse_existing
from memo_dist.recalling.contamination import Thresholds
from memo_dist.recalling.items import Item, read_items
from memo_dist.remote.address import told_elsewhere

CHUNK = 256  # items of a part


def judge_file(
    memory: Path,
    items: Path,
    out: Path,
    *,
    field: str,
    thresholds: Thresholds,
    actors: int | None = None,
    address: str | None = None,
    on_progress: Callable[[int], None] = lambda items: None,
) -> tuple[int, int]:
    """Judge a file of items; a stopped job of the same output, memory, items and thresholds is finished.

    Args:
        field: of the items, that holds the text. actors: how many judge; None: one for each processor.
        on_progress: called with the number of items judged so far.

    Returns:
        How many parts there are, and how many of them an earlier run had written.

    Raises:
        As run_chunks; InputError: the items cannot be read.
    """
    refuse_existing(out)
    size, changed = stamp_of(items)
    where, asked = told_elsewhere(memory), {"items": str(items), "size": size, "changed": changed, "chunk": CHUNK}
    job = ChunkJob(
        name="contamination job",
        place=out.with_name(f".{out.name}.judging"),
        statement={
            "memory": manifest_at(memory).digest,
            **asked,
            "field": field,
            "thresholds": asdict(thresholds),
        },
        statement_file="contamination.json",
        start=lambda executor: executor.start_worker(ContaminationActor, where, thresholds),
        chunks=lambda: _chunks(items, field),
        schema=SCHEMA,
    )
    return run_chunks(job, out, actors=actors, address=address, on_progress=on_progress, on_part=lambda part: None)


def _chunks(items: Path, field: str) -> Iterator[list[Item]]:
    rows = read_items(items, field)
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def rows_in(out: Path) -> Iterator[dict[str, Any]]:
    """The rows of a finished file, without holding them all."""
    with pq.ParquetFile(out) as file:
        for batch in file.iter_batches(CHUNK):
            yield from batch.to_pylist()
