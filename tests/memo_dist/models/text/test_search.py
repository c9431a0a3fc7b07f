"""The search by tables against exact products in integers, and cleanup by it against cleanup by the matrix product."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import TextConfig
from memo_dist.models.candidates import Candidates
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.codes import signs, value_words
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.search import best_codes

KINDS = ("noise", "signal", "spike", "few values", "equal codes", "zero", "ramp")


def vectors(kind: str, count: int, dim: int, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Integer-valued, so that their products with signs are exact in float64."""
    noise = rng.normal(0, 300, (count, dim))
    made = {
        "noise": noise,
        "signal": noise + 900 * codes[rng.integers(0, len(codes), count)],
        "spike": np.where(rng.random((count, dim)) < 0.01, 100_000, noise / 100),
        "few values": rng.integers(-1, 2, (count, dim)).astype(float),
        "equal codes": noise,
        "zero": np.zeros((count, dim)),
        "ramp": np.tile(np.geomspace(1, 1e6, dim), (count, 1)),
    }
    return np.asarray(np.rint(made[kind]).astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from([64, 128, 256]),
    st.integers(1, 300),
    st.integers(20, 1500),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_whatever_is_among_the_best_is_returned(
    kind: str, dim: int, count: int, size: int, keep: int, seed: int
) -> None:
    rng, packed = np.random.default_rng(seed), value_words(size - 1, dim, seed)
    if kind == "equal codes":
        packed[rng.integers(0, size, 10)] = packed[0]
    codes = signs(packed).astype(np.float64)
    asked = vectors(kind, count, dim, codes, rng)
    found, sure = best_codes(asked, packed, keep=keep, width=keep + 16)
    exact = asked.astype(np.float64) @ codes.T
    least = np.sort(exact, axis=1)[:, size - keep]
    for row in np.flatnonzero(sure).tolist():
        listed = found[row][found[row] >= 0].tolist()
        assert listed == sorted(set(listed))
        assert set(np.flatnonzero(exact[row] >= least[row]).tolist()) <= set(listed)


def test_it_is_nearly_always_sure_of_reads_and_never_of_ties() -> None:
    rng, packed = np.random.default_rng(0), value_words(20_000, 256, 0)
    codes = signs(packed)
    for kind in ("noise", "signal"):
        _, sure = best_codes(vectors(kind, 500, 256, codes, rng), packed, keep=16, width=32)
        assert sure.mean() > 0.99
    assert not best_codes(np.zeros((40, 256), np.float32), packed, keep=16, width=32)[1].any()


def ranked_by_product(cleanup: HashedCleanup, reads: np.ndarray, filled: np.ndarray) -> Candidates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HashedCleanup, "_by_tables", HashedCleanup._by_product)
        return cleanup.rank(reads, filled, top_k=4)


PRIORS = ("uniform", "steep", "held or not")


@cache
def cleanup_of(vocab_size: int, prior: str = "uniform") -> HashedCleanup:
    config = TextConfig(num_banks=1, vocab_size=vocab_size, inner_dim=256)
    return HashedCleanup(config, HashedEncoder(config), prior=counts(prior, vocab_size))


def counts(prior: str, vocab_size: int) -> np.ndarray | None:
    """Of next tokens: by Zipf's law, with tokens that are never held; or as many of each as of any other held one."""
    rng = np.random.default_rng(vocab_size)
    if prior == "uniform":
        return None
    if prior == "held or not":
        return 1000 * rng.integers(0, 2, vocab_size + 1)
    return np.asarray(rng.permutation(1_000_000 // np.arange(1, vocab_size + 2) ** 2))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(PRIORS[1:]),
    st.integers(1, 200),
    st.sampled_from([50, 1000]),
    st.integers(1, 20),
    st.sampled_from([1e-9, 1.0, 1e3, 1e6]),
)
def test_whatever_is_among_the_best_with_a_prior_is_returned(
    kind: str, prior: str, count: int, vocab_size: int, keep: int, scale: float
) -> None:
    """The terms of classes stand for the terms of codes, which alone count in the end."""
    cleanup = cleanup_of(vocab_size, prior)
    codes = cleanup.codebook.astype(np.float64)
    asked = vectors(kind, count, 256, codes, np.random.default_rng(keep))
    steps = np.full((count, 1), scale)
    found, sure = best_codes(asked, cleanup._packed, keep=keep, width=keep + 16, terms=cleanup.prior.terms(steps))
    exact = asked.astype(np.float64) @ codes.T + cleanup.prior.steps(steps)
    least = np.sort(exact, axis=1)[:, vocab_size + 1 - keep]
    for row in np.flatnonzero(sure).tolist():
        assert set(np.flatnonzero(exact[row] >= least[row]).tolist()) <= set(found[row].tolist())


def test_it_is_nearly_always_sure_with_a_prior() -> None:
    cleanup, rng = cleanup_of(20_000, "steep"), np.random.default_rng(0)
    for load in (2, 8, 40):
        reads = 256 * (cleanup.codebook[rng.integers(0, 20_000, 400)] + load * rng.standard_normal((400, 256)))
        pooled = reads / (reads**2).sum(axis=1, keepdims=True) * 256.0**4
        sought, scale = cleanup.in_steps(pooled)
        terms = cleanup.prior.terms(scale)
        _, sure = best_codes(sought, cleanup._packed, keep=16, width=32, terms=terms)
        assert sure.mean() > 0.97


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([50, 1000, 20_000]),
    st.sampled_from(PRIORS),
    st.floats(0, 4),
    st.integers(5, 300),
    st.integers(0, 99),
)
def test_many_queries_are_ranked_as_by_the_product(
    vocab_size: int, prior: str, load: float, count: int, seed: int
) -> None:
    """Any load, from reads without noise, of which many scores are equal, to noise alone; empty banks read zeros."""
    cleanup, rng = cleanup_of(vocab_size, prior), np.random.default_rng(seed)
    held = cleanup.codebook[rng.integers(0, vocab_size, (count, 3))] * (256 * rng.integers(0, 2, (count, 3, 1)))
    reads = (held + rng.standard_normal((count, 3, 256)) * load * 256).astype(np.int32)
    filled = np.arange(3)[None, :] < rng.integers(1, 4, (count, 1))
    reads[~filled] = 0
    by_tables, by_product = cleanup.rank(reads, filled, top_k=4), ranked_by_product(cleanup, reads, filled)
    assert np.array_equal(by_tables.tokens, by_product.tokens)
    assert np.array_equal(by_tables.log_odds, by_product.log_odds)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(PRIORS),
    st.sampled_from([45, 1000]),
    st.integers(5, 200),
    st.integers(1, 40),
    st.floats(-6, 6),
)
def test_the_shortlist_is_that_of_the_product(
    kind: str, prior: str, vocab_size: int, count: int, keep: int, size: float
) -> None:
    cleanup = cleanup_of(vocab_size, prior)
    pooled = 10.0**size * vectors(kind, count, 256, cleanup.codebook, np.random.default_rng(keep)).astype(np.float64)
    steps = cleanup.in_steps(pooled)
    assert np.array_equal(cleanup._by_tables(*steps, keep), cleanup._by_product(*steps, keep))
