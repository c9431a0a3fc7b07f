"""Planning: what a build will take, before anything is allocated.

Covers: MemoryPlan, refusal. Does not cover: the capacity law (capacity.py), constants (processes.py), measuring the
corpus (pipelines) or the run (cluster).
"""

from dataclasses import asdict, dataclass

from memo_dist.errors import BudgetError, ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import all_settings, model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.capacity import predicted_recall
from memo_dist.planning.processes import (
    DOCUMENT_BYTES,
    DRIVER_BYTES,
    FILE_MERGE_BYTES,
    LARGE_BUFFER,
    LEDGER_BYTES,
    MAX_BUFFER,
    MERGE_BYTES,
    MIB,
    MIN_BUFFER,
    PENDING_BYTES,
    SCORING_BYTES,
    SHARD_BYTES,
    SHARED_BYTES,
    SMALL_STORE_BYTES,
    SORTING_BYTES,
    STORE_BYTES,
    STORED_DOCUMENT_BYTES,
    TRAINING_BYTES,
    WORKER_BYTES,
)
from memo_dist.sizes import show_bytes

_SLACK = 1.15  # real tokens against the estimate from a sample
_MORE = "give more with --memory-budget, or build on more machines with --address"


def buffer_for(owned: int) -> int:
    """Associations to collect before they are merged into a ledger of `owned` associations in memory.

    Every merge passes over the whole ledger, so the buffer grows with the ledger to keep the number of merges low.
    """
    return min(LARGE_BUFFER, max(MIN_BUFFER, min(MAX_BUFFER, owned // 4), owned // 8))


@dataclass(frozen=True)
class MemoryPlan:
    """What a build will take. Bytes; times are not planned.

    Attributes:
        tokens, documents: estimated from a sample of the corpus.
        associations: the most that the tokens can give. expected_associations: what text that repeats itself as the
            sample does gives.
        load: expected associations a bank.
        recall: by the capacity law, relative to the text's ceiling.
        buffer: associations that a shard collects before it merges them.
        shard_bytes: peak of the largest shard process.
        driver_bytes, worker_bytes: peaks of the driver and of one tokenizing worker.
        store_bytes: batches on their way, in shared memory.
        peak_bytes: all processes of the build together, without Ray's own (about 500 MiB).
        disk_bytes: the finished memory, at most.
        expected_peak_bytes, expected_disk_bytes: not bounds, but what is likely.
        scratch_bytes: what shards keep on disk while they work; 0 if banks and ledgers are in memory.
    """

    config: MemoryConfig
    tokens: int
    documents: int
    associations: int
    expected_associations: int
    load: float
    recall: float
    shards: int
    workers: int
    buffer: int
    shard_bytes: int
    driver_bytes: int
    worker_bytes: int
    store_bytes: int
    peak_bytes: int
    disk_bytes: int
    expected_peak_bytes: int
    expected_disk_bytes: int
    scratch_bytes: int

    @property
    def parameters_per_token(self) -> float:
        return self.config.num_parameters / self.tokens

    @property
    def max_associations(self) -> int:
        """What one shard may hold before it refuses more."""
        return int(_SLACK * self.associations / self.shards) + MIN_BUFFER

    @property
    def out_of_core(self) -> bool:
        """Whether banks and ledgers are on disk while shards work."""
        return self.scratch_bytes > 0

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "config": all_settings(self.config), "parameters_per_token": self.parameters_per_token}


def plan_memory(
    config: MemoryConfig,
    text: TextSize,
    *,
    shards: int,
    workers: int,
    unit_bytes: int,
    store_bytes: int = STORE_BYTES,
    out_of_core: bool = False,
    buffer: int | None = None,
) -> MemoryPlan:
    """Plan a build.

    Args:
        text: what is memorized.
        shards, workers: processes that hold banks, and that tokenize.
        unit_bytes: text of the largest unit; a worker holds it with its tokens.
        store_bytes: of the object store.
        out_of_core: keep banks and ledgers on disk.
        buffer: associations sorted at a time; None: from their number.

    Raises:
        ConfigError: more shards than banks.
    """
    if not 1 <= shards <= config.num_banks:
        raise ConfigError(f"--shards is {shards}; expected 1 to {config.num_banks}, the number of banks")
    associations = text.tokens * config.num_layers
    expected = associations
    if text.repetition is not None:
        expected = min(associations, round(text.repetition.associations(text.tokens)))
    shard = _plan_shard(config, text, shards=shards, out_of_core=out_of_core, buffer=buffer)
    worker_bytes = WORKER_BYTES + 8 * unit_bytes
    running = DRIVER_BYTES + shards * shard.bytes + workers * worker_bytes + store_bytes
    # merging and training are seldom at work when most else is held, and the object store is seldom full
    likely = DRIVER_BYTES + workers * worker_bytes + shards * (SHARD_BYTES + shard.codes + shard.buffer * SORTING_BYTES)
    likely += config.num_banks * config.bank_bytes + _in_ledger(config, expected) * LEDGER_BYTES
    return MemoryPlan(
        config=config,
        tokens=text.tokens,
        documents=text.documents,
        associations=associations,
        expected_associations=expected,
        load=expected / config.num_banks,
        recall=predicted_recall(config, text, expected),
        shards=shards,
        workers=workers,
        buffer=shard.buffer,
        shard_bytes=shard.bytes,
        driver_bytes=DRIVER_BYTES,
        worker_bytes=worker_bytes,
        store_bytes=store_bytes,
        peak_bytes=max(TRAINING_BYTES, running),
        disk_bytes=_disk_bytes(config, associations, text.documents) + 8 * MIB,
        expected_peak_bytes=max(TRAINING_BYTES, running if out_of_core else likely),
        expected_disk_bytes=_disk_bytes(config, expected, text.documents) + MIB,
        scratch_bytes=shards * shard.scratch,
    )


@dataclass(frozen=True, kw_only=True)
class _ShardPlan:
    """The largest shard: associations of its buffer, bytes of its codes, of its process at most, and on scratch."""

    buffer: int
    codes: int
    bytes: int
    scratch: int


def _plan_shard(
    config: MemoryConfig, text: TextSize, *, shards: int, out_of_core: bool, buffer: int | None
) -> _ShardPlan:
    owned = int(_SLACK * _in_ledger(config, text.tokens * config.num_layers) / shards)
    banks = -(-config.num_banks // shards) * config.bank_bytes
    if buffer is None:
        buffer = buffer_for(owned) if owned else 0
    held, scratch, work = banks + owned * LEDGER_BYTES, 0, MERGE_BYTES
    if out_of_core:  # the ledger's parts move as they grow; pending associations take up to a pass over the banks
        pending = min(owned * PENDING_BYTES, max(4 * buffer * PENDING_BYTES, banks))
        held, scratch, work = 0, banks + 4 * owned * LEDGER_BYTES + pending, FILE_MERGE_BYTES
    codes = model_of(config).shard_bytes(config)
    sorting, documents = int(1.1 * buffer * SORTING_BYTES), int(_SLACK * text.documents / shards) * DOCUMENT_BYTES
    size = SHARD_BYTES + held + sorting + documents + codes + work
    return _ShardPlan(buffer=buffer, codes=codes, bytes=size, scratch=scratch)


def _in_ledger(config: MemoryConfig, associations: int) -> int:
    """How many of the associations a ledger counts: all, or none where the model keeps no ledger."""
    return associations if model_of(config).has_ledger else 0


def _disk_bytes(config: MemoryConfig, associations: int, documents: int) -> int:
    ledger = _in_ledger(config, associations) * LEDGER_BYTES
    return config.num_banks * config.bank_bytes + ledger + documents * STORED_DOCUMENT_BYTES


def fit_plan(
    config: MemoryConfig, text: TextSize, *, shards: int | None, cpus: int, unit_bytes: int | None, budget: int
) -> MemoryPlan:
    """The fastest plan within `budget` bytes: in memory; else out of core; else that with fewer processes.

    Args:
        text: what is memorized.
        shards: as asked for; None: one for each processor.
        cpus: processors; the most workers and, unless `shards` says more, shards.
        unit_bytes: text of the largest unit; None if nothing is tokenized.

    Returns:
        The plan; the smallest of them if none fits.
    """

    def plan(processes: int, store: int, *, out_of_core: bool = True, buffer: int | None = MIN_BUFFER) -> MemoryPlan:
        return plan_memory(
            config,
            text,
            shards=min(processes, config.num_banks) if shards is None else shards,
            workers=0 if unit_bytes is None else processes,
            unit_bytes=unit_bytes or 0,
            store_bytes=store,
            out_of_core=out_of_core,
            buffer=buffer,
        )

    plans = [plan(cpus, STORE_BYTES, out_of_core=False, buffer=None)]
    if model_of(config).out_of_core:
        # a smaller buffer costs passes over the ledger, banks on disk cost more
        plans += [plan(cpus, STORE_BYTES, out_of_core=False, buffer=buffer) for buffer in (MAX_BUFFER, MIN_BUFFER)]
        plans += [plan(cpus, STORE_BYTES), *(plan(n, SMALL_STORE_BYTES) for n in range(cpus, 0, -1))]
    chosen = next((plan for plan in plans if plan.peak_bytes <= budget), plans[-1])
    spare = budget - chosen.peak_bytes
    if not chosen.out_of_core or spare <= 0:
        return chosen
    more = min(MAX_BUFFER - MIN_BUFFER, int(spare / chosen.shards / (1.1 * SORTING_BYTES)))
    return plan(chosen.workers or chosen.shards, chosen.store_bytes, buffer=MIN_BUFFER + more)


def require_experiment(config: MemoryConfig, available: int) -> None:
    """Refuse an experiment in one process that would not fit.

    Raises:
        BudgetError: with the numbers.
    """
    codes = model_of(config).recall_bytes(config)
    needed = SHARD_BYTES + SHARED_BYTES + config.num_banks * config.bank_bytes + codes + SCORING_BYTES
    if needed > available:
        raise BudgetError(
            f"the experiment would need {show_bytes(needed)}, and {show_bytes(available)} are free; take smaller "
            "dimensions, fewer layers or a smaller vocabulary"
        )


def require_budget(plan: MemoryPlan, budget: int) -> None:
    """Refuse a plan whose peak is beyond `budget` bytes.

    Raises:
        BudgetError: with the numbers, and what would fit.
    """
    if plan.peak_bytes <= budget:
        return
    if not model_of(plan.config).out_of_core:
        raise BudgetError(
            f"{_needs(plan)}. The memory budget is {show_bytes(budget)}; take a smaller --dim, or {_MORE}"
        )
    raise BudgetError(
        f"{_needs(plan)}, with banks and ledger on disk already. The memory budget is {show_bytes(budget)}; {_MORE}"
    )


def _needs(plan: MemoryPlan) -> str:
    return (
        f"the build would need {show_bytes(plan.peak_bytes)}: driver {show_bytes(plan.driver_bytes)}, "
        f"{plan.shards} shards of {show_bytes(plan.shard_bytes)}, {plan.workers} workers of "
        f"{show_bytes(plan.worker_bytes)}, object store {show_bytes(plan.store_bytes)}"
    )
