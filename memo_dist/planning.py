"""Planning: how many banks a corpus needs, and what a build will take, before anything is allocated.

Covers: the capacity law, MemoryPlan, refusal. Does not cover: measuring the corpus (pipelines) or the run (cluster).

Capacity law. A bank with N associations answers with noise of variance s^2 = N / d^2 on each score. A context that was
memorized matches in all L layers, so its evidence is L + sqrt(L) s z against the best of V noise scores of the same
variance:
    recall(N) = E_z[ Phi( sqrt(L) / s + z )^V ],  z standard normal
relative to the best that any context of that length allows. The plan counts L associations a token, though text repeats
itself (2.4 to 2.7 were measured), so it errs on the safe side.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import log_ndtr

from memo_dist.config import MemoryConfig
from memo_dist.errors import BudgetError, ConfigError

MIB = 1 << 20
LEDGER_BYTES = 16  # name 8, token 4, count 4
_PENDING_BYTES = 80  # an association in the buffer while it is sorted
_MERGE_BYTES = 160 * MIB  # one ledger part merged, one chunk hashed, one group of codes expanded
_SLACK = 1.15  # real tokens against the estimate from a sample
PROCESS_BYTES = 330 * MIB  # a Python process with Ray, Dask, Arrow, HDF5 and tokenizers loaded
MAX_BUFFER, MIN_BUFFER = 1 << 22, 1 << 18


def predicted_recall(load: float, inner_dim: int, num_layers: int, vocab_size: int) -> float:
    """The capacity law: recall of a memory with `load` associations a bank, relative to the ceiling of the text."""
    if load <= 0:
        return 1.0
    z = np.linspace(-8, 8, 3201)
    weights = np.exp(-z * z / 2)
    signal = math.sqrt(num_layers) * inner_dim / math.sqrt(load)
    return float(np.sum(weights * np.exp(vocab_size * log_ndtr(signal + z))) / np.sum(weights))


def banks_for(tokens: int, target_recall: float, inner_dim: int, num_layers: int, vocab_size: int) -> int:
    """The fewest banks at which the capacity law promises `target_recall` for `tokens` tokens.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    low, high = 1.0, float(inner_dim**2)
    for _ in range(60):
        middle = math.sqrt(low * high)
        good = predicted_recall(middle, inner_dim, num_layers, vocab_size) >= target_recall
        low, high = (middle, high) if good else (low, middle)
    return max(1, math.ceil(tokens * num_layers / low))


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
    owned = int(_SLACK * associations / shards)
    banks = -(-config.num_banks // shards)
    buffer = min(MAX_BUFFER, max(MIN_BUFFER, owned // 4))
    in_shard = banks * config.bank_bytes + owned * LEDGER_BYTES + int(1.1 * buffer * _PENDING_BYTES) + documents * 400
    shard_bytes = PROCESS_BYTES + in_shard + _MERGE_BYTES
    driver_bytes = PROCESS_BYTES + 300 * MIB  # the tokenizer's sample, and training on it
    worker_bytes = PROCESS_BYTES + 12 * unit_bytes
    return MemoryPlan(
        config=config,
        tokens=tokens,
        documents=documents,
        associations=associations,
        load=associations / config.num_banks,
        recall=predicted_recall(
            associations / config.num_banks, config.inner_dim, config.num_layers, config.vocab_size
        ),
        shards=shards,
        workers=workers,
        buffer=buffer,
        shard_bytes=shard_bytes,
        driver_bytes=driver_bytes,
        worker_bytes=worker_bytes,
        store_bytes=store_bytes,
        peak_bytes=driver_bytes + shards * shard_bytes + workers * worker_bytes + store_bytes,
        disk_bytes=config.num_banks * config.bank_bytes + associations * LEDGER_BYTES + documents * 32 + 8 * MIB,
    )


def require_budget(plan: MemoryPlan, budget: int) -> None:
    """Refuse a plan whose peak is beyond `budget` bytes.

    Raises:
        BudgetError: with the numbers, and what would fit.
    """
    if plan.peak_bytes <= budget:
        return
    fixed = plan.peak_bytes - plan.config.num_banks * plan.config.bank_bytes
    banks = (budget - fixed) // plan.config.bank_bytes
    fits = (
        f"with --banks {banks} it would fit, at a recall of {_recall_at(plan, banks):.3f}"
        if banks >= 1
        else f"even one bank needs {show_bytes(fixed + plan.config.bank_bytes)}"
    )
    raise BudgetError(
        f"the build would need {show_bytes(plan.peak_bytes)}: driver {show_bytes(plan.driver_bytes)}, "
        f"{plan.shards} shards of {show_bytes(plan.shard_bytes)}, {plan.workers} workers of "
        f"{show_bytes(plan.worker_bytes)}, object store {show_bytes(plan.store_bytes)}. The memory budget is "
        f"{show_bytes(budget)}; {fits}. Or give more with --memory-budget, or build on more machines with --address"
    )


def _recall_at(plan: MemoryPlan, banks: int) -> float:
    config = plan.config
    return predicted_recall(plan.associations / banks, config.inner_dim, config.num_layers, config.vocab_size)


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
    if not size > 0:
        raise ConfigError(f"{text!r} is not a size above zero")
    return int(size)
