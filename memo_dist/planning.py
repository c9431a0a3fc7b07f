"""Planning: what a build will take, before anything is allocated.

Covers: MemoryPlan, refusal. Does not cover: the capacity law (capacity.py), measuring the corpus (pipelines) or the run
(cluster).
"""

from dataclasses import asdict, dataclass, replace

from memo_dist.capacity import predicted_recall
from memo_dist.config import MemoryConfig
from memo_dist.encoding.projected import ENCODED_AT_ONCE
from memo_dist.errors import BudgetError, ConfigError

MIB = 1 << 20
LEDGER_BYTES = 16  # name 8, token 4, count 4
_PENDING_BYTES = 80  # an association in the buffer while it is sorted
_MERGE_BYTES = 160 * MIB  # one ledger part merged, one chunk hashed, one group of codes expanded
_MORE = "give more with --memory-budget, or build on more machines with --address"
_SCORING_BYTES = 512 * MIB  # scores of a block of positions, and the cues of a batch
_SLACK = 1.15  # real tokens against the estimate from a sample
PROCESS_BYTES = 330 * MIB  # a Python process with Ray, Dask, Arrow, HDF5 and tokenizers loaded
MAX_BUFFER, MIN_BUFFER = 1 << 22, 1 << 18


def encoder_bytes(config: MemoryConfig) -> int:
    """Memory of the paper's encoder: token vectors, maps between layers, and what a chunk of positions takes."""
    if config.preset == "text":
        return 0
    dim, composed = config.inner_dim, max(0, config.num_layers - 2) if config.composition == "jlt" else 0
    maps = composed * config.num_heads + 2 * config.num_layers
    return 4 * ((config.vocab_size + 66) * dim + maps * dim * dim + 7 * ENCODED_AT_ONCE * dim)


@dataclass(frozen=True)
class MemoryPlan:
    """What a build will take. Bytes; times are not planned.

    Attributes:
        tokens, documents: estimated from a sample of the corpus.
        associations: the most that the tokens can give.
        load: associations a bank.
        recall: by the capacity law, relative to the text's ceiling.
        buffer: associations that a shard collects before it merges them.
        shard_bytes: peak of the largest shard process.
        driver_bytes, worker_bytes: peaks of the driver and of one tokenizing worker.
        store_bytes: batches on their way, in shared memory.
        peak_bytes: all processes of the build together, without Ray's own (about 500 MiB).
        disk_bytes: the finished memory.
    """

    config: MemoryConfig
    tokens: int
    documents: int
    associations: int
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

    @property
    def parameters_per_token(self) -> float:
        return self.config.num_parameters / self.tokens

    @property
    def max_associations(self) -> int:
        """What one shard may hold before it refuses more."""
        return int(_SLACK * self.associations / self.shards) + MIN_BUFFER

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "parameters_per_token": self.parameters_per_token}


def plan_memory(
    config: MemoryConfig,
    tokens: int,
    documents: int,
    shards: int,
    workers: int,
    unit_bytes: int,
    store_bytes: int,
) -> MemoryPlan:
    """Plan a build.

    Args:
        unit_bytes: text of the largest unit; a worker holds it with its tokens.

    Raises:
        ConfigError: more shards than banks.
    """
    if not 1 <= shards <= config.num_banks:
        raise ConfigError(f"--shards is {shards}; expected 1 to {config.num_banks}, the number of banks")
    associations = tokens * config.num_layers
    in_ledgers = 0 if config.preset == "paper" else associations
    owned = int(_SLACK * in_ledgers / shards)
    banks = -(-config.num_banks // shards)
    buffer = min(MAX_BUFFER, max(MIN_BUFFER, owned // 4)) if owned else 0
    in_shard = banks * config.bank_bytes + owned * LEDGER_BYTES + int(1.1 * buffer * _PENDING_BYTES) + documents * 400
    in_shard += encoder_bytes(config) if config.preset == "paper" else (config.vocab_size + 1) * config.inner_dim // 8
    shard_bytes = PROCESS_BYTES + in_shard + _MERGE_BYTES
    driver_bytes = PROCESS_BYTES + 300 * MIB  # the tokenizer's sample, and training on it
    worker_bytes = PROCESS_BYTES + 12 * unit_bytes
    return MemoryPlan(
        config=config,
        tokens=tokens,
        documents=documents,
        associations=associations,
        load=associations / config.num_banks,
        recall=predicted_recall(config, associations, tokens, documents),
        shards=shards,
        workers=workers,
        buffer=buffer,
        shard_bytes=shard_bytes,
        driver_bytes=driver_bytes,
        worker_bytes=worker_bytes,
        store_bytes=store_bytes,
        peak_bytes=driver_bytes + shards * shard_bytes + workers * worker_bytes + store_bytes,
        disk_bytes=config.num_banks * config.bank_bytes + in_ledgers * LEDGER_BYTES + documents * 32 + 8 * MIB,
    )


def require_experiment(config: MemoryConfig, available: int) -> None:
    """Refuse an experiment in one process that would not fit.

    Raises:
        BudgetError: with the numbers.
    """
    codes = encoder_bytes(config) if config.preset == "paper" else (config.vocab_size + 1) * config.inner_dim * 4
    needed = PROCESS_BYTES + config.num_banks * config.bank_bytes + codes + _SCORING_BYTES
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
    in_each = -(-plan.config.num_banks // plan.shards)
    fixed = plan.peak_bytes - plan.shards * in_each * plan.config.bank_bytes
    banks = (budget - fixed) // (plan.shards * plan.config.bank_bytes) * plan.shards
    if plan.config.preset == "paper":
        raise BudgetError(
            f"{_needs(plan)}. The memory budget is {show_bytes(budget)}; take a smaller --dim, or {_MORE}"
        )
    fits = (
        f"with --banks {banks} it would fit, at a recall of {_recall_at(plan, banks):.3f}"
        if banks >= 1
        else f"even one bank needs {show_bytes(fixed + plan.shards * plan.config.bank_bytes)}"
    )
    raise BudgetError(f"{_needs(plan)}. The memory budget is {show_bytes(budget)}; {fits}. Or {_MORE}")


def _needs(plan: MemoryPlan) -> str:
    return (
        f"the build would need {show_bytes(plan.peak_bytes)}: driver {show_bytes(plan.driver_bytes)}, "
        f"{plan.shards} shards of {show_bytes(plan.shard_bytes)}, {plan.workers} workers of "
        f"{show_bytes(plan.worker_bytes)}, object store {show_bytes(plan.store_bytes)}"
    )


def _recall_at(plan: MemoryPlan, banks: int) -> float:
    return predicted_recall(replace(plan.config, num_banks=banks), plan.associations, plan.tokens, plan.documents)


def show_bytes(count: float) -> str:
    """1234567 -> "1.2 MB"; decimal, as disks and budgets are."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def parse_bytes(text: str) -> int:
    """ "4GB" -> 4_000_000_000; also plain bytes, KB, MB, TB and KiB to TiB.

    Raises:
        ConfigError: it is not a size.
    """
    units = {"": 1, "B": 1}
    for power, letter in enumerate("KMGT", start=1):
        units |= {letter: 1000**power, f"{letter}B": 1000**power, f"{letter}IB": 1024**power}
    stripped = text.strip().upper()
    number = stripped.rstrip("KMGTIB ")
    unit = stripped[len(number) :].strip()
    try:
        size = float(number) * units[unit]
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{text!r} is not a size; expected a number with a unit, such as 4GB or 512MiB") from error
    if not 1 <= size < 2**63:
        raise ConfigError(f"{text!r} is not a size; expected at least 1 byte and less than 2**63")
    return int(size)


def parse_seconds(text: str) -> float:
    """ "60s" -> 60.0; also ms, m, h, and plain seconds.

    Raises:
        ConfigError: it is no time above 0.
    """
    units = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
    stripped = str(text).strip().lower()
    number = stripped.rstrip("minsh ")
    try:
        seconds = float(number) * units[stripped[len(number) :].strip()]
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{text!r} is not a time; expected a number with a unit, such as 60s or 10m") from error
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{text!r} is not a time above 0, such as 60s or 10m")
    return seconds
