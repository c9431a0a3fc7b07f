"""Cleanup, a contract: which tokens vectors speak for, against every token of the vocabulary scored by the equations.

Covers: cleanups of both models; ranks, log-odds, the best token, independence of company. Does not cover: where the
vectors come from (test_readers.py), how often the first token is the true one (models/text/test_cleanup.py).
"""

from dataclasses import dataclass

import numpy as np
import pytest
from contracts.configs import CONFIGS, is_text
from contracts.makers import cleanup, reference_of

from memo_dist import MemoryConfig
from memo_dist.models.candidates import Candidates, Cleanup
from memo_dist.models.paper import cleanup as paper_cleanup
from memo_dist.models.paper.gaussians import gaussian
from memo_dist.models.text import cleanup as text_cleanup

MODELS = list(CONFIGS)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # the model paper scores in float32
SHORTLIST = 16  # tokens that the model text scores exactly, if no more are asked


def codes_of(config: MemoryConfig) -> np.ndarray:
    """Value codes of all tokens and of "end of document", (V + 1, d) float64."""
    if is_text(config):
        reference = reference_of(config)
        return np.array([reference.value(token) for token in range(config.vocab_size + 1)], float)
    rows, dim = config.vocab_size + 2, config.inner_dim
    return gaussian(config.seed, 0, "E", shape=(rows, dim), variance=1 / dim).astype(float)[:-1]


def text_log_odds(config: MemoryConfig, reads: np.ndarray, depth: int) -> list[float]:
    """E_m(v) - log V - log(1 + sum_{k<m} exp(E_k(v)) / V), E_k = sum_{l<k} (z_l - 1/2) / s_l^2, token by token."""
    size, dim = config.vocab_size + 1, config.inner_dim
    found = []
    for code in codes_of(config):
        evidence, rivals = 0.0, 1.0
        for layer in range(depth):
            read = reads[layer].astype(float)
            noise = max(read @ read / dim**4, 1 / dim**2)
            evidence += (read @ code / dim**2 - 0.5) / noise
            if layer < depth - 1:
                rivals += np.exp(evidence) / size
        found.append(evidence - np.log(size) - np.log(rivals))
    return found


def paper_log_odds(config: MemoryConfig, reads: np.ndarray, depth: int) -> list[float]:
    """(m z - m^2 / 2) / s^2 - log V, z = r E[v]^T and s^2 = |r|^2 / d, token by token."""
    read = reads[0].astype(float)
    noise = max(read @ read / config.inner_dim, 1e-12)
    scores = [read @ code for code in codes_of(config)]
    return [(depth * z - depth**2 / 2) / noise - np.log(config.vocab_size + 1) for z in scores]


@dataclass
class Case:
    """A cleanup, vectors to clean up, and log-odds of every token, (n, V + 1)."""

    config: MemoryConfig
    cleanup: Cleanup
    reads: np.ndarray
    filled: np.ndarray
    truth: np.ndarray

    def rank(self, top_k: int = 1, rows: "slice | np.ndarray" = slice(None)) -> Candidates:
        return self.cleanup.rank(self.reads[rows], self.filled[rows], top_k)

    @property
    def order(self) -> np.ndarray:
        """(n, V + 1) tokens, best first."""
        return np.argsort(-self.truth, axis=1, kind="stable")


def some_reads(config: MemoryConfig, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in which one to four tokens are heard beside noise, from plainly to hardly."""
    codes, dim, layers = codes_of(config), config.inner_dim, config.num_layers
    filled = np.arange(layers)[None, :] < rng.integers(1, layers + 1, (count, 1))
    reads = np.zeros((count, layers if is_text(config) else 1, dim))
    for row in range(count):
        heard = rng.integers(0, len(codes), int(rng.integers(1, 5)))
        for layer in np.flatnonzero(filled[row]).tolist():
            spoken = codes[heard[: max(1, len(heard) - layer)]].sum(axis=0)
            noise = rng.standard_normal(dim) * (row % 8) / 3
            if is_text(config):
                reads[row, layer] = dim * (spoken + noise)
            else:
                reads[row, 0] += spoken + noise / np.sqrt(dim)
    return reads.astype(config.vector_type), filled


def case_of(config: MemoryConfig, count: int = 40) -> Case:
    reads, filled = some_reads(config, count, np.random.default_rng(0))
    log_odds = text_log_odds if is_text(config) else paper_log_odds
    truth = [log_odds(config, read, int(row.sum())) for read, row in zip(reads, filled, strict=True)]
    return Case(config, cleanup(config), reads, filled, np.array(truth))


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(CONFIGS[request.param])


def test_the_first_token_is_the_best_of_the_vocabulary(case: Case) -> None:
    found = case.rank()
    assert found.tokens.shape == found.log_odds.shape == (len(case.reads), 1)
    assert np.array_equal(found.tokens[:, 0], case.order[:, 0])
    assert len(set(found.tokens[:, 0].tolist())) > 5


def test_the_whole_vocabulary_is_ranked_as_the_equations_rank_it(case: Case) -> None:
    size = case.config.vocab_size + 1
    found = case.rank(size)
    assert np.array_equal(np.sort(found.tokens, axis=1), np.tile(np.arange(size), (len(case.reads), 1)))
    assert (np.diff(found.log_odds, axis=1) <= 0).all()
    ours = np.take_along_axis(case.truth, found.tokens, axis=1)
    assert np.allclose(found.log_odds, ours, **CLOSE)
    if is_text(case.config):
        assert np.array_equal(found.tokens, case.order)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_few_tokens_are_the_beginning_of_the_whole_list(case: Case, top_k: int) -> None:
    found = case.rank(top_k)
    assert np.array_equal(found.tokens, case.order[:, :top_k])
    assert np.allclose(found.log_odds, np.sort(-case.truth, axis=1)[:, :top_k] * -1, **CLOSE)


def test_more_tokens_begin_with_the_fewer(case: Case) -> None:
    longest = case.rank(SHORTLIST)
    for top_k in (1, 2, 5, 8):
        found = case.rank(top_k)
        assert np.array_equal(found.tokens, longest.tokens[:, :top_k])
        assert np.array_equal(found.log_odds, longest.log_odds[:, :top_k])


@pytest.mark.parametrize("model", MODELS)
def test_a_list_is_the_best_of_the_vocabulary_to_its_end(model: str) -> None:
    case = case_of(CONFIGS[model])
    found = case.rank(SHORTLIST)
    assert np.array_equal(found.tokens, case.order[:, :SHORTLIST])


def test_layer_scores_are_of_the_tokens_beside_them(case: Case) -> None:
    found, codes = case.rank(3), codes_of(case.config)
    layers = case.reads.shape[1]
    assert found.layer_scores.shape == (len(case.reads), 3, layers)
    scale = case.config.inner_dim**2 if is_text(case.config) else 1
    for row, place, layer in np.ndindex(*found.layer_scores.shape):
        score = case.reads[row, layer].astype(float) @ codes[found.tokens[row, place]] / scale
        assert np.isclose(found.layer_scores[row, place, layer], score, **CLOSE)


def test_is_best_says_what_rank_puts_first(case: Case) -> None:
    first, size = case.rank().tokens[:, 0], case.config.vocab_size + 1
    for shift in range(size):
        tokens = (first + shift) % size
        said = case.cleanup.is_best(case.reads, case.filled, tokens)
        assert (said.shape, said.dtype) == ((len(case.reads),), bool)
        assert (said == (shift == 0)).all()


@pytest.mark.parametrize("searched", [1, 7, 1 << 12])
def test_is_best_is_the_same_however_much_is_searched_at_a_time(
    case: Case, searched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_cleanup, "_SEARCHED", searched)
    tokens = np.where(np.arange(len(case.reads)) % 3 == 0, case.order[:, 1], case.order[:, 0])
    said = case.cleanup.is_best(case.reads, case.filled, tokens)
    assert np.array_equal(said, np.arange(len(case.reads)) % 3 != 0)


def test_batches_are_cut_without_a_trace(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case.rank(3)
    for module in (paper_cleanup, text_cleanup):
        monkeypatch.setattr(module, "SCORES_AT_ONCE", 300)
    cut = case.rank(3)
    assert np.array_equal(cut.tokens, whole.tokens)
    assert np.allclose(cut.log_odds, whole.log_odds, **CLOSE)
    assert cut.layer_scores.shape == whole.layer_scores.shape


@pytest.mark.parametrize("company", [1, 2, 4, 5, 17])
@pytest.mark.parametrize("top_k", [1, 3])
def test_answers_do_not_depend_on_who_else_is_asked(case: Case, company: int, top_k: int) -> None:
    together = case.rank(top_k)
    for first in range(0, len(case.reads), company):
        rows = slice(first, first + company)
        alone = case.rank(top_k, rows)
        assert np.array_equal(alone.tokens, together.tokens[rows])
        exactly = {"rtol": 0, "atol": 0} if is_text(case.config) else CLOSE
        assert np.allclose(alone.log_odds, together.log_odds[rows], **exactly)


@pytest.mark.parametrize("model", MODELS)
def test_long_lists_do_not_depend_on_who_else_is_asked(model: str) -> None:
    case = case_of(CONFIGS[model])
    together = case.rank(SHORTLIST)
    for row in range(len(case.reads)):
        alone = case.rank(SHORTLIST, slice(row, row + 1))
        assert np.array_equal(alone.tokens[0], together.tokens[row])


def test_order_of_queries_is_order_of_answers(case: Case) -> None:
    rows = np.random.default_rng(1).permutation(len(case.reads))
    assert np.array_equal(case.rank(2, rows).tokens, case.rank(2).tokens[rows])


def test_nobody_asked_is_answered_by_nothing(case: Case) -> None:
    found = case.rank(3, slice(0))
    layers = case.reads.shape[1]
    assert (found.tokens.shape, found.log_odds.shape, found.layer_scores.shape) == ((0, 3), (0, 3), (0, 3, layers))
    assert len(case.cleanup.is_best(case.reads[:0], case.filled[:0], np.zeros(0, np.int64))) == 0


def silent(config: MemoryConfig, count: int, top_k: int) -> Candidates:
    """Ranks of what an empty bank reads as: zeros."""
    reads, filled = some_reads(config, count, np.random.default_rng(0))
    return cleanup(config).rank(np.zeros_like(reads), filled, top_k)


@pytest.mark.parametrize("model", MODELS)
def test_silence_speaks_for_no_token(model: str) -> None:
    """Nothing is likelier than chance, and no token is missing from the list."""
    config = CONFIGS[model]
    size = config.vocab_size + 1
    for count in (1, 6):
        found = silent(config, count, size)
        assert (found.log_odds < -np.log(size) + 1e-9).all()
        assert (np.sort(found.tokens, axis=1) == np.arange(size)).all()


@pytest.mark.parametrize("model", [model for model in MODELS if is_text(CONFIGS[model])])
@pytest.mark.parametrize("count", [1, 4, 5, 20])
def test_equal_log_odds_are_ranked_by_rising_token_ids(model: str, count: int) -> None:
    assert (silent(CONFIGS[model], count, 3).tokens == [0, 1, 2]).all()


def test_the_encoder_is_that_of_the_config(case: Case) -> None:
    assert case.cleanup.encoder.config == case.config
