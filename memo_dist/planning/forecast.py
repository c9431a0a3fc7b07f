"""Forecast: what memorizing a text of a given size takes, on given machines, before there is a corpus.

Covers: banks, bytes and, with measured rates, time. Does not cover: the plan of a build (memory_plan.py), the law and
the text's repetition behind it (capacity.py, repetition.py).

Times add up what one core does for a token: text is read and tokenized, its windows are hashed, sorted and counted
(runs), and runs are merged into files; nothing is done twice, however many shards there are. With C cores and A
associations,
    seconds = overhead + training + T (1 / tokenize + 1 / (C scan)) + A c / C + bytes / write,
where c, core-seconds an association, is what is left of the measured memorizing once hashing is taken off.
"""

from dataclasses import dataclass

from memo_dist.errors import ConfigError
from memo_dist.models.repetition import TextSize, unrepeated
from memo_dist.models.text.bit_planes import PUBLISHED_BITS, noise_factor
from memo_dist.models.text.capacity import with_banks_for
from memo_dist.models.text.config import TextConfig
from memo_dist.planning.capacity import predicted_recall
from memo_dist.planning.memory_plan import MemoryPlan, plan_memory
from memo_dist.planning.processes import MIN_SLICE
from memo_dist.planning.rates import Rates

_SPLIT_BYTES, _MIN_SPLIT_BYTES, _SPLITS = 12 << 20, 128 << 10, 64  # of text, as pipelines.plan cuts it
_TRAINED = 16 << 20  # bytes of text a tokenizer is trained on
_TEXT_BYTES = 4  # a token
_BESIDE = 40  # bytes of a published bank beside its cells: scale and digest
_TOKENIZER_BYTES = 50  # a token id


@dataclass(frozen=True)
class Machines:
    """What there is to build on. gpus: in all; 0: shards are on processors, one a core."""

    nodes: int
    cores: int
    gpus: int

    @property
    def shards(self) -> int:
        return self.gpus or self.nodes * self.cores


@dataclass(frozen=True)
class Published:
    """A recall-only copy: bits a cell, banks, bytes and the recall that the law predicts."""

    bits: int
    banks: int
    bytes: int
    recall: float


@dataclass(frozen=True)
class Forecast:
    """Bytes are of all machines together unless said otherwise; seconds are None without rates.

    Attributes:
        plan: its bounds hold for any text.
        node_bytes: memory of one machine, likely; at most. least_node_bytes: with one worker and small slices.
        published: at the bits there are, of the same banks; last, one bit in as many banks as the target takes.
    """

    plan: MemoryPlan
    machines: Machines
    target: float
    node_bytes: int
    most_node_bytes: int
    least_node_bytes: int
    published: list[Published]
    seconds: dict[str, float] | None

    @property
    def total_seconds(self) -> float | None:
        return None if self.seconds is None else sum(self.seconds.values())


def forecast(
    config: TextConfig,
    target: float,
    text: TextSize,
    *,
    machines: Machines,
    rates: Rates | None = None,
    fixed_banks: bool = False,
    train: bool = True,
) -> Forecast:
    """Forecast a build.

    Args:
        config: of the preset text; its banks count if `fixed_banks`, else they follow from `target`.
        text: what is memorized.
        train: a tokenizer is trained first.

    Raises:
        ConfigError: a number is out of range, or the rates are of another kind of device.
    """
    for name in ("nodes", "cores"):
        if getattr(machines, name) < 1:
            raise ConfigError(f"--{name} is {getattr(machines, name)}; expected 1 or more")
    if not fixed_banks:
        config = with_banks_for(config, target, text)
    shards = min(machines.shards, config.num_banks)
    readers, holders = machines.nodes * machines.cores, min(machines.nodes, shards)
    split = split_bytes(text.tokens)
    plan = plan_memory(config, text, shards=shards, workers=readers, split_bytes=split)
    least = plan_memory(config, text, shards=shards, workers=1, split_bytes=split, slice_rows=MIN_SLICE)
    return Forecast(
        plan=plan,
        machines=machines,
        target=target,
        node_bytes=-(-plan.expected_peak_bytes // holders),
        most_node_bytes=-(-plan.peak_bytes // holders),
        least_node_bytes=least.peak_bytes,
        published=_published(config, target, text),
        seconds=None if rates is None else _seconds(plan, machines, rates, train=train),
    )


def _published(config: TextConfig, target: float, text: TextSize) -> list[Published]:
    associations = (text.repetition or unrepeated(config.num_layers)).associations(text.tokens)

    def at(shape: TextConfig, bits: int) -> Published:
        size = shape.num_banks * (shape.inner_dim**2 * bits // 8 + _BESIDE) + shape.vocab_size * _TOKENIZER_BYTES
        recall = predicted_recall(shape, text, associations, noise=noise_factor(bits))
        return Published(bits, shape.num_banks, size, recall)

    wider = with_banks_for(config, target, text, noise=noise_factor(1))
    return [*(at(config, bits) for bits in sorted(PUBLISHED_BITS)), at(wider, 1)]


def _seconds(plan: MemoryPlan, machines: Machines, rates: Rates, *, train: bool) -> dict[str, float]:
    if (rates.device == "gpu") != (machines.gpus > 0):
        wanted = "gpu" if machines.gpus else "cpu"
        raise ConfigError(
            f"the rates were measured on a {rates.device}; make others where the {wanted}s are: "
            f"memo-dist bench --device {wanted} --json"
        )
    tokens, readers = plan.tokens, machines.nodes * machines.cores
    tokenizing = tokens / (rates.tokenize_tokens_per_s * readers / rates.readers)
    scanning = tokens / rates.scan_tokens_per_s / readers
    updating = plan.expected_associations * seconds_per_association(rates) / (machines.gpus or readers)
    return {
        "start and stop": rates.build_overhead_s or 0.0,
        "learn from a sample": min(_TRAINED, tokens * _TEXT_BYTES) / rates.tokenizer_bytes_per_s if train else 0.0,
        "tokenize": tokenizing,
        "hash": scanning,
        "sort and merge": updating,
        "write": plan.expected_disk_bytes / (rates.disk_write_bytes_per_s * min(machines.nodes, plan.shards)),
    }


def split_bytes(tokens: int) -> int:
    """Bytes of text in a split of a corpus of `tokens` tokens."""
    return min(_SPLIT_BYTES, max(_MIN_SPLIT_BYTES, tokens * _TEXT_BYTES // _SPLITS))


def seconds_per_association(rates: Rates) -> float:
    """c: one core (or GPU) to sort, count and merge an association, and to add it to its bank."""
    spent = rates.cores / rates.memorize_tokens_per_s - rates.cores / rates.scan_tokens_per_s
    return max(spent, 0.0) / rates.associations_per_token
