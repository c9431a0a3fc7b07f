"""The build: corpus -> plan -> shards -> memory directory. Reads top to bottom.

Covers: one build from nothing, on a local or a given Ray cluster. Does not cover: resuming one.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import ray

from cluster.actor import peak_resident_bytes
from cluster.feed import Feed
from cluster.placement import place_shards, wait_until_ready
from cluster.session import STORE_BYTES, local_cpus, ray_session
from cluster.watch import MemoryWatch
from memo_dist.backend import array_module
from memo_dist.capacity import with_banks_for, with_dim_for
from memo_dist.config import MemoryConfig
from memo_dist.errors import ConfigError, StorageError
from memo_dist.planning import MemoryPlan, plan_memory, require_budget, show_bytes
from memo_dist.stored import refuse_existing, shard_file, staged_output, write_contents
from pipelines.batching import delayed_batches
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus
from pipelines.token_ids import plan_token_ids
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

_MAX_WINDOW = 32
_MEMORY_SHARE = 0.85  # of what is available, if no budget is given


@dataclass(frozen=True)
class BuildOptions:
    """What the command line gives; see `memo-dist build --help`. None: chosen from the corpus or the machine.

    `token_ids`: the inputs are parquet files of token ids, and `vocab_size` may say how many there are.
    """

    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    preset: str = "text"
    composition: str = "jlt"
    tokenizer: str = "auto"
    token_ids: bool = False
    vocab_size: int | None = None
    target_recall: float = 0.99
    inner_dim: int | None = None
    num_heads: int = 4
    num_layers: int = 3
    num_banks: int | None = None
    seed: int = 0
    shards: int | None = None
    device: str = "cpu"
    address: str | None = None
    memory_budget: int | None = None


@dataclass
class Progress:
    """How far a build is; handed to the caller after every unit."""

    units: int
    units_done: int = 0
    tokens: int = 0
    documents: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0


@dataclass(frozen=True)
class BuildSummary:
    """What was built, and what it took."""

    out: str
    digest: str
    tokens: int
    documents: int
    associations: int
    skipped: int
    replaced: int
    empty: int
    bytes_on_disk: int
    seconds: dict[str, float]
    peak_bytes: int
    planned_peak_bytes: int
    shard_peak_bytes: list[int]
    driver_peak_bytes: int
    ray_bytes: int


class Clock:
    """Seconds by stage, in the order in which stages end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def build(
    inputs: list[str],
    out: Path,
    options: BuildOptions,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> BuildSummary:
    """Memorize a corpus into a new memory directory.

    Raises:
        MemoError: the inputs, settings, budget or disk do not allow it; nothing is left behind.
    """
    clock = Clock()
    refuse_existing(out)
    array_module(options.device)
    if not 0 < options.target_recall < 1:
        raise ConfigError(f"--target-recall is {options.target_recall}; expected between 0 and 1, such as 0.99")
    corpus, choice = _measure(inputs, options, clock)
    plan = plan_build(corpus, choice, options)
    on_plan(corpus, plan)
    available = int(psutil.virtual_memory().available * _MEMORY_SHARE)
    require_budget(plan, available if options.memory_budget is None else options.memory_budget)
    with staged_output(out) as staging, MemoryWatch() as watch:
        _require_disk(staging, plan)
        with ray_session(options.address, plan.workers):
            shards = place_shards(
                plan.config,
                plan.shards,
                choice.tokenizer.hash if choice.tokenizer else "",
                plan.shard_bytes,
                plan.buffer,
                plan.max_associations,
                plan.associations // plan.shards,
                _device(options.device, plan.shards),
                by_memory=options.address is not None,
            )
            graphs = delayed_batches(corpus, ray.put(choice.tokenizer), plan.config.context_length)
            feed = Feed(graphs, shards, window=_window(corpus, plan))
            feed.fill()
            wait_until_ready(shards)
            clock.lap("start")
            progress = Progress(len(corpus.units))
            for answers in feed:
                progress.units_done += 1
                progress.tokens += sum(a.tokens for a in answers)
                progress.documents += sum(a.documents for a in answers)
                progress.skipped += answers[0].skipped
                progress.replaced += answers[0].replaced
                progress.empty += answers[0].empty
                on_progress(progress)
            ray.get([s.actor.flush.remote() for s in shards])
            clock.lap("memorize")
            targets = [str((staging / shard_file(index)).absolute()) for index in range(plan.shards)]
            written = ray.get([s.actor.write.remote(target) for s, target in zip(shards, targets, strict=True)])
            shard_peaks = ray.get([s.actor.peak_bytes.remote() for s in shards])
            clock.lap("write")
        source: dict[str, Any] = {"inputs": inputs, "files": corpus.files, "units": len(corpus.units)}
        manifest = write_contents(
            staging, plan.config, choice.tokenizer, written, progress.tokens, progress.documents, [source]
        )
        size = sum(file.stat().st_size for file in staging.iterdir())
    clock.lap("stop")
    return BuildSummary(
        out=str(out),
        digest=manifest.digest,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        skipped=progress.skipped,
        replaced=progress.replaced,
        empty=progress.empty,
        bytes_on_disk=size,
        seconds={stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        peak_bytes=watch.peak_bytes,
        planned_peak_bytes=plan.peak_bytes,
        shard_peak_bytes=shard_peaks,
        driver_peak_bytes=peak_resident_bytes(),
        ray_bytes=watch.ray_bytes,
    )


def _measure(inputs: list[str], options: BuildOptions, clock: Clock) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in units, its tokenizer, and how many tokens it has."""
    if options.token_ids:
        corpus, found = plan_token_ids(inputs, options.corpus)
        size = found.vocab_size if options.vocab_size is None else options.vocab_size
        if size < found.vocab_size:
            raise ConfigError(f"--vocab-size is {size}, but the highest token id is {found.vocab_size - 1}")
        clock.lap("plan")
        return corpus, TokenizerChoice(None, size, 0, found.tokens, found.documents)
    if options.vocab_size is not None:
        raise ConfigError("--vocab-size belongs to --token-ids; text has as many tokens as its tokenizer")
    corpus = plan_corpus(inputs, options.corpus)
    clock.lap("plan")
    choice = choose_tokenizer(corpus, options.tokenizer)
    clock.lap("tokenizer")
    return corpus, choice


def plan_build(corpus: CorpusPlan, choice: TokenizerChoice, options: BuildOptions) -> MemoryPlan:
    """The size of everything, from the corpus and the options."""
    workers = local_cpus()
    config = choose_config(choice, options)
    shards = min(workers, config.num_banks) if options.shards is None else options.shards
    return plan_memory(config, choice.tokens, choice.documents, shards, workers, corpus.largest_unit, STORE_BYTES)


def choose_config(choice: TokenizerChoice, options: BuildOptions) -> MemoryConfig:
    """The memory's shape: as asked for, else as large as the capacity law says.

    Raises:
        ConfigError: a setting is out of range, belongs to another preset, or the memory would be too large.
    """
    if options.preset == "paper":
        if options.num_banks is not None:
            raise ConfigError("--banks belongs to the preset 'text'; the preset 'paper' has one matrix: give --dim")
        heads, layers = options.num_heads, options.num_layers
        smallest = math.lcm(heads, 16)
        config = MemoryConfig.paper(
            choice.vocab_size, options.inner_dim or smallest, heads, layers, options.composition, seed=options.seed
        )
        return config if options.inner_dim else with_dim_for(config, options.target_recall, choice.tokens)
    if options.preset != "text":
        raise ConfigError(f"--preset is {options.preset!r}; expected text or paper")
    config = MemoryConfig.text(
        num_banks=1 if options.num_banks is None else options.num_banks,
        vocab_size=choice.vocab_size,
        inner_dim=256 if options.inner_dim is None else options.inner_dim,
        num_heads=options.num_heads,
        num_layers=options.num_layers,
        seed=options.seed,
    )
    if options.num_banks is not None:
        return config
    return with_banks_for(config, options.target_recall, choice.tokens, choice.documents)


def _device(asked: str, shards: int) -> str:
    """ "auto" is "gpu" where CuPy finds one here and the cluster has one for every shard."""
    if asked != "auto":
        return asked
    enough = ray.cluster_resources().get("GPU", 0) >= shards
    return "gpu" if enough and array_module("auto").__name__ == "cupy" else "cpu"


def _window(corpus: CorpusPlan, plan: MemoryPlan) -> int:
    """Units under way: enough that workers go on while shards merge, in a quarter of the object store."""
    batch = 4 * max(1, corpus.largest_unit * plan.tokens // max(corpus.text_bytes, 1))
    return max(2 * plan.workers, min(_MAX_WINDOW, plan.store_bytes // 4 // batch))


def _require_disk(directory: Path, plan: MemoryPlan) -> None:
    free = _free_bytes(directory)
    if free < plan.disk_bytes:
        raise StorageError(
            f"{directory.parent} has {show_bytes(free)} free; the memory will take {show_bytes(plan.disk_bytes)}. "
            "Make room or choose another --out"
        )


def _free_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free
