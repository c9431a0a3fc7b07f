"""Bench: how fast this machine does each stage on given text.

Covers: matrix product, memorizing, hashing, updates, ledger, recall, memory files. Does not cover: tokenizing and whole
builds, which need other packages (console/bench.py calls them), what is done with the figures (rates.py).

There is one process for each core, as in a build, but no Ray, so that nothing but the stages themselves is timed.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, read_batch
from memo_dist.device.backend import array_module, to_device, to_host
from memo_dist.files.batch_file import read_batches, write_batches
from memo_dist.files.format import shard_file
from memo_dist.files.staging import write_contents
from memo_dist.measuring.evaluation import context_tokens, cues_of, rank_next
from memo_dist.measuring.sampling import Positions, sample_positions
from memo_dist.measuring.together import median_seconds, run_together
from memo_dist.memory import Memory
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Ledger
from memo_dist.recalling.lookup import Lookup
from memo_dist.runs.merging import MergeOrder, Source, merge_into
from memo_dist.runs.run_folder import make_run, run_folders
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from memo_dist.tokenizer import Tokenizer

_GEMM_DIM = 4096
_QUERIES = 2048  # of each process


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """What one measuring process does: its banks, which batches of an Arrow file, and where to write its shard."""

    config: MemoryConfig
    tokenizer: Tokenizer | None
    banks: range
    first: int
    processes: int
    batches: Path
    out: Path
    device: str


@dataclass(frozen=True, kw_only=True)
class Memorized:
    """What memorizing took.

    Attributes:
        tokens, associations: their numbers, associations distinct.
        seconds: of memorizing, files written.
        writing: seconds of writing as many bytes once more.
        file_bytes: of these files.
    """

    tokens: int
    associations: int
    seconds: float
    writing: float
    file_bytes: int


def gemm_gflops(device: str = "cpu", dim: int = _GEMM_DIM) -> float:
    """10^9 floating point operations a second of a float32 product of dim x dim matrices, all cores or the GPU."""
    xp = array_module(device)
    left = xp.asarray(np.random.default_rng(0).standard_normal((dim, dim), dtype=np.float32))

    def product() -> None:
        to_host((left @ left)[:1])  # a GPU works on until it is asked for something

    return 2 * dim**3 / median_seconds(product) / 1e9


def measure_memory(
    config: MemoryConfig,
    batches: list[pa.Table],
    *,
    tokenizer: Tokenizer | None,
    cores: int,
    device: str,
    work: Path,
) -> dict[str, Any]:
    """The rates of everything that happens between batches and answers, by the names of `Rates`.

    Args:
        config: of the preset text.
        batches: of the Arrow contract.
        tokenizer: of the batches, by which text is hashed; None hashes bare token ids.
        cores: number of processes, each with a shard.
        work: an empty directory with room for the memory.
    """
    memorized = measure_memorizing(config, batches, tokenizer=tokenizer, cores=cores, device=device, work=work)
    began = time.perf_counter()
    Memory.open(work)
    reading = time.perf_counter() - began
    places = sample_positions(batches, config, cores * _QUERIES, before=context_tokens(config))
    _, recalled = run_together(
        recall_stages, [(work, Positions(places.lines[i::cores], places.before)) for i in range(cores)]
    )
    return {
        "memorize_tokens_per_s": memorized.tokens / memorized.seconds,
        "associations_per_token": memorized.associations / memorized.tokens,
        "disk_write_bytes_per_s": memorized.file_bytes / memorized.writing,
        "disk_read_bytes_per_s": memorized.file_bytes / reading,
        "recall_queries_per_s": len(places) / recalled.seconds,
        "recall": float(np.concatenate(recalled.results).mean()),
    }


def measure_memorizing(
    config: MemoryConfig,
    batches: list[pa.Table],
    *,
    tokenizer: Tokenizer | None,
    cores: int,
    device: str,
    work: Path,
) -> Memorized:
    """Memorize batches into the empty directory `work`, one shard for each core, and leave no page of it in memory."""
    tokens = sum(token_count(table) for table in batches)
    write_batches(batches, work / "batches.arrow")
    edges = [config.num_banks * i // cores for i in range(cores + 1)]
    tasks = [
        ShardTask(
            config=config,
            tokenizer=tokenizer,
            banks=range(edges[i], edges[i + 1]),
            first=i,
            processes=cores,
            batches=work / "batches.arrow",
            out=work / shard_file(i),
            device=device,
        )
        for i in range(cores)
    ]
    _, made, merged, written = run_together(shard_stages, tasks)
    size = sum(task.out.stat().st_size for task in tasks)
    write_contents(work, config, tokenizer, shards=merged.results, tokens=tokens, documents=0, sources=[])
    for task in tasks:
        forget_pages(task.out)
    return Memorized(
        tokens=tokens,
        associations=sum(record.associations for record, _ in merged.results),
        seconds=made.seconds + merged.seconds,
        writing=written.seconds,
        file_bytes=size,
    )


def measure_core(
    config: TextConfig, batches: list[pa.Table], *, tokenizer: Tokenizer | None, device: str = "cpu"
) -> dict[str, float]:
    """The rates of what one core does, stage by stage, by the names of `Rates`."""
    xp = array_module(device)
    segments = [pair for table in batches for pair in read_batch(table, config)]
    tokens = sum(len(segment.tokens) for _, segment in segments)
    few = ready_shard(replace(config, num_banks=2**31), range(1), tokenizer=tokenizer, room=ShardRoom(xp=xp))

    def scan() -> None:
        few.applied.clear()  # batches that are taken in again
        for table in batches:
            few.memorize_batch(table)

    encoder = HashedEncoder(config, tokenizer)
    associations = associations_of(encoder, [segment for _, segment in segments], device)
    ledger = Ledger(0, 2**64, 1, xp=xp)
    distinct = next(change.added for change in list(ledger.merge(associations)))

    def count_again() -> None:
        for _ in ledger.merge(associations):
            pass

    banks = BankRange(
        config, range(config.num_banks), value_words(config.vocab_size, config.inner_dim, 0, xp=xp), xp=xp
    )

    def update() -> None:
        banks.memorize(distinct)
        banks.forget(distinct)
        to_host(banks.store.read(0, 1))

    (part,) = ledger.parts()
    size = sum(column.nbytes for column in (part.names, part.tokens, part.counts))
    return {
        "scan_tokens_per_s": tokens / median_seconds(scan),
        "ledger_lookups_per_s": len(associations) / median_seconds(count_again),
        "ledger_bytes_per_association": size / len(part),
        "update_associations_per_s": 2 * len(distinct) / median_seconds(update, repeat=1),
    }


def associations_of(encoder: HashedEncoder, segments: list[Segment], device: str = "cpu") -> Associations:
    """All associations of segments, repeats included."""
    xp = array_module(device)
    parts = list(encoder.associations(segments, range(encoder.config.num_banks)))
    names, tokens = (np.concatenate([getattr(p, name) for p in parts]) for name in ("names", "tokens"))
    return Associations(to_device(names, xp), to_device(tokens, xp))


def token_count(batch: pa.Table) -> int:
    """Tokens of a batch, without those of contexts."""
    return len(batch["tokens"].combine_chunks().flatten())


def shard_stages(task: ShardTask) -> Iterator[Any]:
    """Stages of one process: getting ready; making runs of its share of the batches; merging its banks out of all runs
    into a file; writing such a file again, as bytes."""
    batches = list(read_batches(task.batches))[task.first :: task.processes]
    config, hash_ = cast(TextConfig, task.config), task.tokenizer.hash if task.tokenizer else ""
    encoder = HashedEncoder(replace(config, num_banks=1), task.tokenizer)
    encoder.length(np.zeros(1, np.int64))
    warm_up(config, task.device)
    yield None
    runs = task.out.parent / "runs"
    rows = sum(make_run(table, runs, encoder=encoder, sign=1, tokenizer_hash=hash_).rows for table in batches)
    yield None
    order = MergeOrder(
        config=config,
        tokenizer_hash=hash_,
        banks=task.banks,
        rows=rows,
        xp=array_module(task.device),
    )
    sources: list[Source] = list(run_folders(runs))
    applied = {BatchInfo.of(table).batch_id for table in batches}
    written = merge_into(task.out, sources, order, applied=applied)
    yield written
    _write(task.out.with_suffix(".copy"), task.out.read_bytes())
    yield None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def ready_shard(config: MemoryConfig, banks: range, *, tokenizer: Tokenizer | None, room: ShardRoom) -> Shard:
    """An empty shard that knows the text of every token, which a build finds out while it starts."""
    shard = Shard(config, banks, tokenizer=tokenizer, room=room)
    shard.contents.encoder.length(np.zeros(1, np.int64))
    return shard


def warm_up(config: MemoryConfig, device: str) -> None:
    """Load the compiled kernel, which a build does while it starts."""
    small = TextConfig(num_banks=1, vocab_size=config.vocab_size, inner_dim=config.inner_dim)
    memory = Memory(small, xp=array_module(device))
    memory.memorize("a", [0] * 100)
    memory.shard.flush()


def recall_stages(task: tuple[Path, Positions]) -> Iterator[Any]:
    """Stages of one process: opening the memory; asking for the next token at each place."""
    path, places = task
    memory = Memory.open(path)
    lookup = Lookup(memory)
    rank_next(lookup, cues_of(lookup, Positions(places.lines[:64], places.before)))
    yield None
    yield rank_next(lookup, cues_of(lookup, places)).tokens[:, 0] == places.following[:, 0]


def forget_pages(path: Path) -> None:
    """Ask the system to drop a file from its cache, so that reading it reads the disk."""
    with path.open("rb") as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
