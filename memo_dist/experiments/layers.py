"""The multi-layer experiment: recall of random tokens as batch after batch goes into one memory.

Covers: one run, row by row; the same run with the preset text. Does not cover: tables and plots (report.py, plots.py).

Every batch is scored as published: sequences from position h on, their last two tokens left out. Scoring a position
costs V d multiplications, 20 times what memorizing it costs, so a run may score the first `sequences` of the 30 only.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.random_tokens import LENGTH, random_batch, sequence_segments, sequences_with_decoys
from memo_dist.memory import Memory
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_named
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Cues
from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.text.config import TextConfig
from memo_dist.segments import Segment

VOCABULARY = 50_254
HEADS = 4
_LEFT_OUT = 2  # tokens at a sequence's end
_TEXT_DIMS = (256, 128, 64)

Scored = tuple[Cues, np.ndarray]  # what is asked, and (n,) the next tokens


@dataclass(frozen=True)
class LayersRow:
    """What one iteration of a run gave. `associations` counts what the preset holds; `load` is that a parameter."""

    preset: str
    inner_dim: int
    num_layers: int
    decoys: int
    seed: int
    vocab_size: int
    composition: str
    iteration: int
    tokens: int
    parameters: int
    associations: int
    load: float
    sequences: int
    scored: int
    recall_first: float
    recall_last: float
    seconds: float


@dataclass(frozen=True)
class LayersRun(Run):
    """One run: a preset at inner_dim^2 parameters, one seed."""

    preset: str
    inner_dim: int
    num_layers: int
    decoys: int
    seed: int
    vocab_size: int = VOCABULARY
    composition: str = "jlt"

    def config(self) -> MemoryConfig:
        """The run's memory; the preset text gets as many parameters as the paper's matrix.

        Raises:
            ConfigError: no bank size gives that number of parameters, or no preset has that name.
        """
        return shaped(
            self.preset,
            key_dim=self.inner_dim,
            value_dim=self.inner_dim,
            vocab_size=self.vocab_size,
            num_heads=HEADS,
            num_layers=self.num_layers,
            composition=self.composition,
            seed=self.seed,
        )


class Shape(TypedDict):
    """What both models' configs are made of; d x d cells, or as many, with d = value_dim."""

    key_dim: int
    value_dim: int
    vocab_size: int
    num_heads: int
    num_layers: int
    composition: str
    seed: int


def shaped(preset: str, **shape: Unpack[Shape]) -> MemoryConfig:
    """The memory of a preset with key_dim x value_dim cells.

    Raises:
        ConfigError: no bank size of the preset text divides that number, or there is no such preset.
    """
    model_named(preset)
    return _CONFIGS[preset](shape)


def _paper_config(shape: Shape) -> MemoryConfig:
    return PaperConfig.of(
        shape["vocab_size"],
        shape["value_dim"],
        num_heads=shape["num_heads"],
        num_layers=shape["num_layers"],
        composition=shape["composition"],
        key_dim=shape["key_dim"],
        seed=shape["seed"],
    )


def _text_config(shape: Shape) -> MemoryConfig:
    parameters = shape["key_dim"] * shape["value_dim"]
    dim = next((d for d in _TEXT_DIMS if parameters % (d * d) == 0), None)
    if dim is None:
        raise ConfigError(f"the preset text cannot have {parameters:,} parameters; expected a multiple of 64 x 64")
    return TextConfig(
        num_banks=parameters // (dim * dim),
        vocab_size=shape["vocab_size"],
        inner_dim=dim,
        windows=tuple(shape["num_heads"] ** (layer + 1) for layer in range(shape["num_layers"])),
        keys="tokens",
        seed=shape["seed"],
    )


_CONFIGS: dict[str, Callable[[Shape], MemoryConfig]] = {"paper": _paper_config, "text": _text_config}


def run_layers(run: LayersRun, *, iterations: int, sequences: int, done: frozenset[int]) -> Iterator[LayersRow]:
    """Memorize `iterations` batches one after the other and score the first and the newest after each.

    Args:
        sequences: how many of a batch's 30 are scored.
        done: iterations whose rows are known; they are memorized, not scored.
    """
    memory = Memory(run.config())
    cleanup = memory.cleanup
    first: Scored | None = None
    for iteration in range(iterations):
        began = time.perf_counter()
        tokens = sequences_with_decoys(run.vocab_size, run.decoys, run.seed, iteration=iteration)
        segments = sequence_segments(tokens, iteration)
        memory.memorize_batch(random_batch(segments, f"iteration {iteration}"))
        if first is None:
            first = scored_positions(cleanup, segments[:sequences])
        if iteration in done:
            continue
        recall_first = recall_last = share_recalled(memory, cleanup, first)
        if iteration:
            recall_last = share_recalled(memory, cleanup, scored_positions(cleanup, segments[:sequences]))
        associations, parameters = memory.num_associations, memory.config.num_parameters
        yield LayersRow(
            preset=run.preset,
            inner_dim=run.inner_dim,
            num_layers=run.num_layers,
            decoys=run.decoys,
            seed=run.seed,
            vocab_size=run.vocab_size,
            composition=run.composition,
            iteration=iteration,
            tokens=(iteration + 1) * tokens.size,
            parameters=parameters,
            associations=associations,
            load=associations / parameters,
            sequences=sequences,
            scored=len(first[1]),
            recall_first=recall_first,
            recall_last=recall_last,
            seconds=round(time.perf_counter() - began, 3),
        )


def scored_positions(cleanup: Cleanup, segments: list[tuple[str, Segment]]) -> Scored:
    """Cues and next tokens of the positions that count."""
    parts = list(cleanup.encoder.targets([segment for _, segment in segments]))
    values = np.concatenate([cues.values for cues, _ in parts])
    filled = np.concatenate([cues.filled for cues, _ in parts])
    following = np.concatenate([tokens for _, tokens in parts])
    place = np.arange(len(following)) % LENGTH
    counts = np.flatnonzero((place > HEADS) & (place < LENGTH - _LEFT_OUT + 1))
    return Cues(values[counts], filled[counts]), following[counts]


def share_recalled(memory: Memory, cleanup: Cleanup, asked: Scored) -> float:
    """Next-token recall, top-1."""
    cues, following = asked
    reads = cleanup.encoder.retrieve(memory, cues)
    return float(np.mean(cleanup.is_best(reads, cues.filled, following)))
