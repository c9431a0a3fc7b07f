"""Planning: how many banks a corpus needs, and what a build will take, before anything is allocated.

Covers: the capacity law, MemoryPlan, refusal. Does not cover: measuring the corpus (pipelines) or the run (cluster).

Capacity law. A bank with N associations answers with noise of variance s^2 = N / d^2 on each score. A context that was
memorized matches in all m layers that it fills, so its evidence is m + sqrt(m) s z against the best of V noise scores
of the same variance:
    recall_m(N) = E_z[ Phi( sqrt(m) / s + z )^V ],  z standard normal
relative to the best that any context of that length allows. Near a document's beginning few layers are filled: with
D documents and T tokens, a share (h^(m+1) - h^m) D / T of the tokens has m layers (h D / T has none but the first), and
the rest all L. The plan counts L associations a token, though text repeats itself (2.4 to 2.7 were measured).
"""

import math
from dataclasses import asdict, dataclass, replace

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


def layer_recall(load: float, layers: int, inner_dim: int, vocab_size: int) -> float:
    """recall_m(N) of the capacity law, for contexts that fill `layers` windows."""
    if load <= 0:
        return 1.0
    z = np.linspace(-8, 8, 3201)
    weights = np.exp(-z * z / 2)
    signal = math.sqrt(layers) * inner_dim / math.sqrt(load)
    return float(np.sum(weights * np.exp(vocab_size * log_ndtr(signal + z))) / np.sum(weights))


def predicted_recall(config: MemoryConfig, associations: float, tokens: int, documents: int) -> float:
    """The capacity law for a whole corpus: recall relative to its ceiling."""
    load = associations / config.num_banks
    total, left = 0.0, 1.0
    for layers, window in enumerate(config.windows[1:], start=1):
        share = min(left, window * documents / max(tokens, 1) - (1.0 - left))
        total += share * layer_recall(load, layers, config.inner_dim, config.vocab_size)
        left -= share
    return total + left * layer_recall(load, config.num_layers, config.inner_dim, config.vocab_size)


def with_banks_for(config: MemoryConfig, target_recall: float, tokens: int, documents: int) -> MemoryConfig:
    """The same config with the fewest banks at which the capacity law promises `target_recall`.

    Raises:
        ConfigError: the target is not between 0 and 1.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"--target-recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    associations = tokens * config.num_layers
    few, enough = 0, max(1, associations // 8)
    while enough - few > 1:
        middle = (few + enough) // 2
        good = predicted_recall(replace(config, num_banks=middle), associations, tokens, documents) >= target_recall
        few, enough = (few, middle) if good else (middle, enough)
    return replace(config, num_banks=enough)


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
        recall=predicted_recall(config, associations, tokens, documents),
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
    in_each = -(-plan.config.num_banks // plan.shards)
    fixed = plan.peak_bytes - plan.shards * in_each * plan.config.bank_bytes
    banks = (budget - fixed) // (plan.shards * plan.config.bank_bytes) * plan.shards
    fits = (
        f"with --banks {banks} it would fit, at a recall of {_recall_at(plan, banks):.3f}"
        if banks >= 1
        else f"even one bank needs {show_bytes(fixed + plan.shards * plan.config.bank_bytes)}"
    )
    raise BudgetError(
        f"the build would need {show_bytes(plan.peak_bytes)}: driver {show_bytes(plan.driver_bytes)}, "
        f"{plan.shards} shards of {show_bytes(plan.shard_bytes)}, {plan.workers} workers of "
        f"{show_bytes(plan.worker_bytes)}, object store {show_bytes(plan.store_bytes)}. The memory budget is "
        f"{show_bytes(budget)}; {fits}. Or give more with --memory-budget, or build on more machines with --address"
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
