"""Multi-query associative recall (Zoology, arXiv 2312.04927): pairs of tokens, and each key asked once more.

Covers: the generator, what is memorized and asked in each control, one run. Does not cover: the published figures
(published.py), tables and plots (mqar_report.py).

One bank of d x d cells holds one example, and is read by its cells alone: no ledger, no count of likely tokens. That a
key is one token and its value the next is given to the memory; the published models learn it.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.random_tokens import pair_segments, random_batch
from memo_dist.memory import Memory
from memo_dist.models.text.config import DEFAULT_WINDOWS, TextConfig
from memo_dist.models.text.law import first_probability
from memo_dist.segments import NO_TOKENS, Segment

VOCABULARY = 8192
SHORTEST = 64  # tokens of an example
POWER = 0.01  # a: the chance of gap i falls as i^(a - 1)
Pairs = tuple[np.ndarray, np.ndarray]  # (n, w) windows, (n,) what follows


@dataclass(frozen=True)
class Example:
    """One example: (length,) tokens, pairs first, then each key once, the rest random; `places` of the n queries, and
    (n,) the keys and values in the order of the pairs; `asked`, which pair each query is of."""

    tokens: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    places: np.ndarray
    asked: np.ndarray


def mqar_example(pairs: int, length: int, draws: np.random.Generator) -> Example:
    """Draw one example: n keys of the lower half of the vocabulary without 0 and n values of the upper, no two alike;
    key, value alternate from the start; later each key stands once more at an even distance from their end, gap i = 1,
    2, ... with chance proportional to i^(a - 1); what is left is random."""
    half = VOCABULARY // 2
    keys = draws.choice(np.arange(1, half), pairs, replace=False)
    values = draws.choice(np.arange(half, VOCABULARY), pairs, replace=False)
    tokens = draws.integers(0, VOCABULARY, length)
    tokens[: 2 * pairs : 2], tokens[1 : 2 * pairs : 2] = keys, values
    room = (length - 2 * pairs) // 2
    chance = np.arange(1, room + 1) ** (POWER - 1.0)
    gaps = draws.choice(room, pairs, replace=False, p=chance / chance.sum())
    places = 2 * pairs + 2 * gaps
    tokens[places] = keys
    order = np.argsort(places)
    return Example(tokens.astype(np.uint32), keys, values, places=places[order], asked=order)


@dataclass(frozen=True)
class _Lesson:
    """What one example gives to memorize, to forget afterwards, to memorize then, and to ask."""

    first: list[tuple[str, Segment]]
    asked: list[np.ndarray]
    labels: np.ndarray
    windows: tuple[int, ...] = (1,)
    replaced: list[tuple[str, Segment]] = field(default_factory=list)  # part of what is memorized, taken out again
    last: list[tuple[str, Segment]] = field(default_factory=list)


def _pairs_of(example: Example) -> Pairs:
    return example.keys[:, None].astype(np.uint32), example.values.astype(np.uint32)


def _given_pairs(example: Example, _: np.random.Generator) -> _Lesson:
    windows, values = _pairs_of(example)
    return _Lesson(pair_segments(windows, values, 0), list(windows), values)


def _every_token(example: Example, _: np.random.Generator) -> _Lesson:
    """What is a key is not given: every token of the pairs' part is memorized after the one before."""
    windows, values = _pairs_of(example)
    text = example.tokens[: 2 * len(values)]
    return _Lesson([("text", Segment(1, text[:1], text[1:], ends=False))], list(windows), values)


def _default_windows(example: Example, _: np.random.Generator) -> _Lesson:
    """The memory as a text has it: windows of 4 tokens and more."""
    text = example.tokens[: 2 * len(example.keys)]
    asked = [example.tokens[: place + 1].astype(np.int64) for place in example.places]
    labels = example.values[example.asked].astype(np.uint32)
    return _Lesson([("text", Segment(0, NO_TOKENS, text, ends=False))], asked, labels, DEFAULT_WINDOWS)


def _rebound(example: Example, draws: np.random.Generator, *, replace: bool) -> _Lesson:
    """Every second key gets another value, the one that counts; those alone are asked."""
    windows, values = _pairs_of(example)
    later = draws.choice(np.setdiff1d(np.arange(VOCABULARY // 2, VOCABULARY), values), len(values), replace=False)
    old, new = pair_segments(windows[::2], values[::2], 0), later[::2].astype(np.uint32)
    return _Lesson(
        pair_segments(windows[1::2], values[1::2], len(old)),
        list(windows[::2]),
        new,
        replaced=old if replace else [],
        last=[*([] if replace else old), *pair_segments(windows[::2], new, len(values))],
    )


def _rebound_kept(example: Example, draws: np.random.Generator) -> _Lesson:
    return _rebound(example, draws, replace=False)


def _rebound_replaced(example: Example, draws: np.random.Generator) -> _Lesson:
    return _rebound(example, draws, replace=True)


def _two_parts(example: Example, windows: tuple[int, ...]) -> _Lesson:
    """Keys are the cells of a grid of first and second parts, as many as a whole square below the pairs."""
    side = math.isqrt(len(example.keys))
    parts = np.stack(np.meshgrid(example.keys[:side], example.keys[-side:], indexing="ij"), axis=-1)
    keys = parts.reshape(-1, 2)[:, -windows[0] :].astype(np.uint32)
    values = example.values[: side * side].astype(np.uint32)
    return _Lesson(pair_segments(keys, values, 0), list(keys), values, windows)


def _two_parts_seen(example: Example, _: np.random.Generator) -> _Lesson:
    return _two_parts(example, (2,))


def _second_part_seen(example: Example, _: np.random.Generator) -> _Lesson:
    return _two_parts(example, (1,))


#: Name of what is memorized and asked -> lesson. The first is the evaluation, the others are its controls.
LESSONS: dict[str, Callable[[Example, np.random.Generator], _Lesson]] = {
    "pairs": _given_pairs,
    "every token": _every_token,
    "default windows": _default_windows,
    "rebound": _rebound_kept,
    "rebound, replaced": _rebound_replaced,
    "two parts": _two_parts_seen,
    "two parts, one seen": _second_part_seen,
}


@dataclass(frozen=True)
class MqarRow:
    """What a run gave: `accuracy`, the share of queries whose best token is the value; `predicted`, what the law says
    of the first lesson at this load (capacity: docs/explanation/capacity.md), NaN for the others."""

    lesson: str
    pairs: int
    inner_dim: int
    queries: int
    seed: int
    length: int
    cells: int
    associations: float
    load: float
    scored: int
    accuracy: float
    predicted: float
    seconds: float


@dataclass(frozen=True)
class MqarRun(Run):
    """One run: a lesson of LESSONS with so many pairs in one bank of inner_dim^2 cells, on as many examples as make
    `queries` queries."""

    lesson: str
    pairs: int
    inner_dim: int
    queries: int
    seed: int

    @property
    def length(self) -> int:
        """Tokens of an example, as published: four a pair, 64 at least."""
        return max(SHORTEST, 4 * self.pairs)

    def config(self, windows: tuple[int, ...] = DEFAULT_WINDOWS) -> TextConfig:
        """One bank.

        Raises:
            ConfigError: inner_dim is no multiple of 64.
        """
        return TextConfig(
            num_banks=1,
            vocab_size=VOCABULARY,
            inner_dim=self.inner_dim,
            windows=windows,
            keys="tokens",
            seed=self.seed,
        )


def run_mqar(run: MqarRun) -> MqarRow:
    """Memorize and ask example after example, each in a memory of its own."""
    began = time.perf_counter()
    right = scored = associations = examples = 0
    while scored < run.queries:
        draws = np.random.default_rng([run.seed, run.pairs, examples])
        lesson = LESSONS[run.lesson](mqar_example(run.pairs, run.length, draws), draws)
        memory = Memory(run.config(lesson.windows))
        _teach(memory, lesson)
        right += int(_right(memory, lesson).sum())
        scored += len(lesson.labels)
        associations += memory.num_associations
        examples += 1
    cells, held = run.inner_dim**2, associations / examples
    law = first_probability(held, (1.0,), inner_dim=run.inner_dim, vocab_size=VOCABULARY)
    return MqarRow(
        lesson=run.lesson,
        pairs=run.pairs,
        inner_dim=run.inner_dim,
        queries=run.queries,
        seed=run.seed,
        length=run.length,
        cells=cells,
        associations=held,
        load=held / cells,
        scored=scored,
        accuracy=right / scored,
        predicted=law if run.lesson == "pairs" else math.nan,
        seconds=round(time.perf_counter() - began, 3),
    )


def _teach(memory: Memory, lesson: _Lesson) -> None:
    memory.memorize_batch(random_batch(lesson.first, "first"))
    if lesson.replaced:
        batch = random_batch(lesson.replaced, "replaced")
        memory.memorize_batch(batch)
        memory.forget_batch(batch)
    if lesson.last:
        memory.memorize_batch(random_batch(lesson.last, "last"))


def _right(memory: Memory, lesson: _Lesson) -> np.ndarray:
    """(n,) bool: the label is the best token, by the cells alone."""
    cleanup = memory.cleanup.with_prior(None)
    cues = cleanup.encoder.query([np.asarray(one, np.int64) for one in lesson.asked])
    return cleanup.is_best(cleanup.encoder.retrieve(memory, cues), cues.filled, lesson.labels)
