"""Reader, a contract: wherever the banks are, a cue's answer is that of the equations.

Covers: memories in process, stored, published at any number of bits and placed on a cluster, for both models; answers
against tests/reference.py. Does not cover: damage (files/test_corruption.py), what is made of answers (test_cleanups).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from contracts.configs import CONFIGS, documents_of, is_text
from contracts.makers import EXACT_READERS, PUBLISHED_READERS, RANGED_READERS, memory_of, on_a_cluster, reference_of
from reference import reference_matrix

from memo_dist import MemoryConfig
from memo_dist.models.cues import Reader
from memo_dist.models.text.bit_planes import noise_factor

DOCUMENTS = documents_of()
ROUNDING = 1e-5  # of float32 sums of the model paper, relative to the largest answer
MODELS = ("text", "text of two layers", "jlt", "product")
RANGED = list(zip(RANGED_READERS, (16, 16, 2), strict=True))
CASES = [
    *((name, model, 16) for name in EXACT_READERS for model in MODELS),
    *((name, "text", int(name.split()[2])) for name in PUBLISHED_READERS),
    *((name, model, bits) for (name, bits) in RANGED for model in ("text", "text of two layers")),
    *(pytest.param(("on a cluster", model, 16), marks=pytest.mark.slow) for model in MODELS),
]
MAKERS = {**EXACT_READERS, **PUBLISHED_READERS, **RANGED_READERS, "on a cluster": on_a_cluster}


@dataclass
class Case:
    """A reader, some cues, and their answers by the equations, in float64."""

    reader: Reader
    config: MemoryConfig
    cues: np.ndarray
    truth: np.ndarray
    bits: int

    def agrees(self, answers: np.ndarray, rows: Any = slice(None)) -> bool:
        """Whether `answers` are the truth of some rows, as exactly as this kind of reader promises."""
        truth = self.truth[rows]
        if self.bits < 16:
            error, whole = (float(np.square(part).sum()) for part in (answers - truth, truth))
            return error < 1.3 * (noise_factor(self.bits) - 1) * whole + 1e-3 * whole
        if is_text(self.config):
            return np.array_equal(answers, truth)
        return bool(np.abs(answers - truth).max() < ROUNDING * np.abs(self.truth).max())


def text_truth(config: MemoryConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cues, held and strange ones of every bank, and r = (key C) * mask."""
    reference = reference_of(config, DOCUMENTS)
    cells, rng = reference.matrices(), np.random.default_rng(0)
    held = sorted({name for name, _ in reference.counts})
    strange = rng.integers(0, 2**64, 60, dtype=np.uint64)
    cues = np.concatenate([rng.choice(np.array(held, np.uint64), 120, replace=False), strange])
    rng.shuffle(cues)
    assert {reference.bank(cue) for cue in cues.tolist()} == set(range(config.num_banks))
    answers = [reference.signs(cue, 0) @ cells[reference.bank(cue)] * reference.signs(cue, 1) for cue in cues.tolist()]
    return cues, np.array(answers, float)


def paper_truth(config: MemoryConfig) -> tuple[np.ndarray, np.ndarray]:
    """Random keys, and r = k C."""
    keys = np.random.default_rng(0).standard_normal((80, config.bank_shape[0] * config.num_heads)).astype(np.float32)
    return keys, keys.astype(float) @ reference_matrix(config, DOCUMENTS)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    name, model, bits = request.param
    if name == "on a cluster":
        request.getfixturevalue("ray_local")
    config = CONFIGS[model]
    cues, truth = text_truth(config) if is_text(config) else paper_truth(config)
    with MAKERS[name](config, DOCUMENTS, tmp_path_factory.mktemp("reader")) as reader:
        yield Case(reader, config, cues, truth, bits)


def test_answers_are_those_of_the_equations(case: Case) -> None:
    assert case.reader.config == case.config
    assert case.agrees(case.reader.read(case.cues))


def test_answers_have_a_row_a_cue_and_the_models_type(case: Case) -> None:
    for count in (0, 1, 2, 5, len(case.cues)):
        answers = case.reader.read(case.cues[:count])
        assert isinstance(answers, np.ndarray)
        assert (answers.shape, answers.dtype.str) == ((count, case.config.inner_dim), case.config.vector_type)


def test_rows_are_in_the_order_asked(case: Case) -> None:
    order = np.random.default_rng(1).permutation(len(case.cues))
    assert case.agrees(case.reader.read(case.cues[order]), order)
    backwards = np.arange(len(case.cues))[::-1]
    assert case.agrees(case.reader.read(case.cues[::-1]), backwards)


def test_a_repeated_cue_has_its_answer_each_time(case: Case) -> None:
    rows = np.random.default_rng(2).integers(0, 7, 40)
    assert case.agrees(case.reader.read(case.cues[rows]), rows)
    same = np.zeros(5, np.int64)
    assert case.agrees(case.reader.read(case.cues[same]), same)


def test_cues_alone_are_answered_as_in_company(case: Case) -> None:
    together = case.reader.read(case.cues)
    alone = np.concatenate([case.reader.read(case.cues[row : row + 1]) for row in range(20)])
    if is_text(case.config):
        assert np.array_equal(alone, together[:20])
    else:
        assert case.agrees(alone, slice(20))


def test_cues_of_one_bank_are_answered_by_it(case: Case) -> None:
    if not is_text(case.config):
        pytest.skip("a key of the model paper has a part for every bank")
    banks = (case.cues >> np.uint64(32)).astype(object) * case.config.num_banks >> 32
    for bank in range(case.config.num_banks):
        rows = np.flatnonzero(banks == bank)
        assert case.agrees(case.reader.read(case.cues[rows]), rows)


def test_reading_changes_neither_memory_nor_cues(case: Case) -> None:
    cues = case.cues.copy()
    cues.flags.writeable = False
    first, second = case.reader.read(cues), case.reader.read(cues)
    assert np.array_equal(first, second)
    first[:] = 0  # an answer belongs to whoever asked
    assert np.array_equal(case.reader.read(cues), second)
    assert np.array_equal(cues, case.cues)


def test_the_truth_tells_these_memories_from_an_empty_one() -> None:
    """The suite can fail: an empty memory answers otherwise."""
    config = CONFIGS["text"]
    cues, truth = text_truth(config)
    empty = memory_of(config, {})
    for bits in (16, 1):
        assert not Case(empty, config, cues, truth, bits).agrees(empty.read(cues))
