"""The single-layer experiment: how many random pairs one matrix holds at 90% recall.

Covers: one run; the same with the preset text. Does not cover: tables and plots (report.py, plots.py).

Published: pairs go in by batches of 1,000 until fewer than 90% are recalled; that number of pairs is reported, the last
batch included (the smallest rows say 1,000, of which a third is recalled). Here it is found by bisection, each probe a
new memory: recall falls as pairs are added. Keys are drawn by themselves, `direct`:
where W_V projects the token's own vector, keys overlap more (memo_dist/planning/capacity.py), and the published .0305 a
parameter at every ratio of key_dim to value_dim is not reached.
"""

import time
from dataclasses import dataclass

import numpy as np

from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.layers import shaped, share_recalled
from memo_dist.experiments.random_tokens import pair_segments, random_batch
from memo_dist.memory import Memory
from memo_dist.memory_config import MemoryConfig

VOCABULARY = 100_000
BATCH = 1000
TARGET = 0.9
_MOST = 0.08  # pairs a parameter that no memory of this kind holds at 90%


@dataclass(frozen=True)
class CapacityRow:
    """What a run gave: `pairs_at_90`, the multiple of 1,000 at which recall has fallen below 90%, recall with so many
    pairs, and with 1,000 fewer."""

    preset: str
    num_heads: int
    key_dim: int
    value_dim: int
    seed: int
    vocab_size: int
    parameters: int
    pairs_at_90: int
    recall: float
    recall_before: float
    scored: int
    seconds: float


@dataclass(frozen=True)
class CapacityRun(Run):
    """One run: `num_heads` tokens make a key of `key_dim` numbers; values have `value_dim`."""

    preset: str
    num_heads: int
    key_dim: int
    value_dim: int
    seed: int
    vocab_size: int = VOCABULARY

    def config(self) -> MemoryConfig:
        """The run's memory, key_dim * value_dim parameters."""
        return shaped(
            self.preset,
            key_dim=self.key_dim,
            value_dim=self.value_dim,
            vocab_size=self.vocab_size,
            num_heads=self.num_heads,
            num_layers=1,
            composition="direct",
            seed=self.seed,
        )


def run_capacity(run: CapacityRun, scored: int) -> CapacityRow:
    """Find the capacity; every probe scores a sample of `scored` of its pairs."""
    began = time.perf_counter()
    config = run.config()
    draws = np.random.default_rng([run.seed, run.num_heads])
    most = 2 + int(_MOST * config.num_parameters) // BATCH
    windows = draws.integers(0, run.vocab_size, (most * BATCH, run.num_heads), dtype=np.uint32)
    following = draws.integers(0, run.vocab_size, most * BATCH, dtype=np.uint32)
    recalls = {0: 1.0}

    def recall_at(batches: int) -> float:
        if batches not in recalls:
            recalls[batches] = _recall(
                config, windows[: batches * BATCH], following=following[: batches * BATCH], scored=scored
            )
        return recalls[batches]

    enough, too_many = 0, most
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        enough, too_many = (middle, too_many) if recall_at(middle) >= TARGET else (enough, middle)
    return CapacityRow(
        preset=run.preset,
        num_heads=run.num_heads,
        key_dim=run.key_dim,
        value_dim=run.value_dim,
        seed=run.seed,
        vocab_size=run.vocab_size,
        parameters=config.num_parameters,
        pairs_at_90=too_many * BATCH,
        recall=recall_at(too_many),
        recall_before=recall_at(enough),
        scored=scored,
        seconds=round(time.perf_counter() - began, 3),
    )


def _recall(config: MemoryConfig, windows: np.ndarray, *, following: np.ndarray, scored: int) -> float:
    memory = Memory(config)
    for first in range(0, len(windows), BATCH):
        part = slice(first, first + BATCH)
        memory.memorize_batch(random_batch(pair_segments(windows[part], following[part], first), f"pairs {first}"))
    asked = np.random.default_rng(len(windows)).permutation(len(windows))[:scored]
    cleanup = memory.cleanup
    cues = cleanup.encoder.query(list(windows[asked]))
    return share_recalled(memory, cleanup, (cues, following[asked]))
