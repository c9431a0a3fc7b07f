"""The search by tables against exact products in integers, and cleanup by it against cleanup by the matrix product."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import TextConfig
from memo_dist.models.candidates import Candidates
from memo_dist.models.text.cleanup import HashedCleanup, in_steps
from memo_dist.models.text.codes import signs, value_words
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


@cache
def cleanup_of(vocab_size: int) -> HashedCleanup:
    return HashedCleanup(TextConfig(num_banks=1, vocab_size=vocab_size, inner_dim=256))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([50, 1000, 20_000]), st.floats(0, 4), st.integers(5, 300), st.integers(0, 99))
def test_many_queries_are_ranked_as_by_the_product(vocab_size: int, load: float, count: int, seed: int) -> None:
    """Any load, from reads without noise, of which many scores are equal, to noise alone; empty banks read zeros."""
    cleanup, rng = cleanup_of(vocab_size), np.random.default_rng(seed)
    held = cleanup.codebook[rng.integers(0, vocab_size, (count, 3))] * (256 * rng.integers(0, 2, (count, 3, 1)))
    reads = (held + rng.standard_normal((count, 3, 256)) * load * 256).astype(np.int32)
    filled = np.arange(3)[None, :] < rng.integers(1, 4, (count, 1))
    reads[~filled] = 0
    by_tables, by_product = cleanup.rank(reads, filled, top_k=4), ranked_by_product(cleanup, reads, filled)
    assert np.array_equal(by_tables.tokens, by_product.tokens)
    assert np.array_equal(by_tables.log_odds, by_product.log_odds)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from([45, 1000]), st.integers(5, 200), st.integers(1, 40), st.integers(0, 99))
def test_the_shortlist_is_that_of_the_product(kind: str, vocab_size: int, count: int, keep: int, seed: int) -> None:
    cleanup = cleanup_of(vocab_size)
    sought = in_steps(vectors(kind, count, 256, cleanup.codebook, np.random.default_rng(seed)).astype(np.float64))
    assert np.array_equal(cleanup._by_tables(sought, keep), cleanup._by_product(sought, keep))
