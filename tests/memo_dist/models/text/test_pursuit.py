"""Matching pursuit against what was put into the reads, and against its plain form.

Covers: models/text/pursuit.py. Does not cover: log-odds of one token (test_cleanup.py).
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import TextConfig
from memo_dist.models.text import pursuit
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.pursuit import MOST, plainly_pursued, pursue

VOCAB = 4000


@cache
def cleanup_of(known: bool, shortlist: int = 16) -> HashedCleanup:
    counts = np.random.default_rng(0).permutation(200_000 // np.arange(1, VOCAB + 2)) if known else None
    config = TextConfig(num_banks=1, vocab_size=VOCAB)
    return HashedCleanup(config, HashedEncoder(config), shortlist=shortlist, prior=counts)


def reads_of(followers: np.ndarray, load: float, layers: int, seed: int) -> np.ndarray:
    """(n, layers, 256) int32: the values of (n, f) tokens in every layer, and the noise of `load` other associations;
    -1 is no token."""
    rng, codes = np.random.default_rng(seed), cleanup_of(False).codebook
    noise = rng.standard_normal((len(followers), layers, 256)) * 16 * np.sqrt(load)
    heard = (codes[followers] * (followers >= 0)[:, :, None]).sum(axis=1)
    return np.rint(256 * heard[:, None, :] + noise).astype(np.int32)


@pytest.mark.parametrize(("many", "load", "layers"), [(8, 600, 1), (16, 600, 1), (16, 1200, 2)])
def test_sets_are_found_whole_where_ranking_misses_some(many: int, load: int, layers: int) -> None:
    rng, asked, cleanup = np.random.default_rng(many), 200, cleanup_of(known=True)
    p = np.exp(cleanup.prior.log_p)
    followers = np.array([rng.choice(VOCAB + 1, many, replace=False, p=p) for _ in range(asked)])
    reads, filled = reads_of(followers, load, layers, seed=many), np.ones((asked, layers), bool)
    truth = np.sort(followers, axis=1)
    plain = (np.sort(cleanup.rank(reads, filled, many).tokens, axis=1) == truth).all(axis=1).mean()
    found = (np.sort(pursue(cleanup, reads, filled, count=many).tokens, axis=1) == truth).all(axis=1).mean()
    assert found > 0.99
    assert plain < 0.9


@settings(max_examples=12, deadline=None)
@given(
    st.booleans(),
    st.integers(1, 12),
    st.floats(0, 3000),
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(0, 999),
)
def test_it_ranks_as_the_plain_form_ranks(
    known: bool, many: int, load: float, layers: int, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    followers = np.array([rng.choice(VOCAB, many, replace=False) for _ in range(count)])
    reads, cleanup = reads_of(followers, load, layers, seed), cleanup_of(known, 200)
    filled = np.arange(layers)[None, :] < rng.integers(1, layers + 1, (count, 1))
    reads[~filled] = 0
    found = pursue(cleanup, reads, filled, count=MOST)
    ranked = cleanup.rank(reads, filled, 2)
    for row in range(count):
        if ranked.log_odds[row, 1] <= pursuit._MAYBE:
            assert found.tokens[row, :2].tolist() == ranked.tokens[row].tolist()
            continue
        plain = plainly_pursued(cleanup, reads[row], filled[row])
        # beyond the floor the shortlist of one query is not exact (contracts/test_cleanups.py)
        likely = min(MOST, int((plain.log_odds[0] > pursuit._FLOOR).sum()))
        assert found.tokens[row, :likely].tolist() == plain.tokens[0, :likely].tolist()
        assert found.log_odds[row, :likely].tolist() == plain.log_odds[0, :likely].tolist()
        assert np.array_equal(found.layer_scores[row, :likely], plain.layer_scores[0, :likely])


def test_log_odds_are_those_without_the_others() -> None:
    """As of a read in which the token is alone with the noise."""
    followers = np.array([[5, 900, 77]])
    reads, filled = reads_of(followers, 300, 2, seed=1), np.ones((1, 2), bool)
    cleanup = cleanup_of(known=True)
    found = pursue(cleanup, reads, filled, count=3)
    for token, log_odds, scores in zip(found.tokens[0], found.log_odds[0], found.layer_scores[0], strict=True):
        others = followers[:, followers[0] != token]
        alone = reads - 256 * cleanup.codebook[others].sum(axis=1)[:, None, :].astype(np.int32)
        expected = cleanup.score(alone, filled, np.array([[token]]))
        assert log_odds == expected.log_odds[0, 0]
        assert np.array_equal(scores, expected.layer_scores[0, 0])


def test_it_ends_at_the_noise_floor() -> None:
    """Of noise alone nothing is taken, and the list is as ranked."""
    reads, filled = reads_of(np.full((60, 1), -1), 3000, 1, seed=2), np.ones((60, 1), bool)
    cleanup = cleanup_of(known=False)
    found, ranked = pursue(cleanup, reads, filled, count=5), cleanup.rank(reads, filled, 5)
    quiet = ranked.log_odds[:, 0] <= pursuit._FLOOR
    assert 0.3 < quiet.mean() < 1
    assert np.array_equal(found.tokens[quiet], ranked.tokens[quiet])
    assert np.array_equal(found.log_odds[quiet], ranked.log_odds[quiet])


def test_fewer_are_the_beginning_of_more() -> None:
    rng = np.random.default_rng(3)
    followers = np.array([rng.choice(VOCAB, 6, replace=False) for _ in range(20)])
    reads, filled = reads_of(followers, 900, 1, seed=3), np.ones((20, 1), bool)
    longest = pursue(cleanup_of(known=True), reads, filled, count=MOST)
    for count in (1, 2, 5, 9):
        found = pursue(cleanup_of(known=True), reads, filled, count=count)
        assert np.array_equal(found.tokens, longest.tokens[:, :count])
        assert np.array_equal(found.log_odds, longest.log_odds[:, :count])


def test_small_vocabularies_are_listed_whole() -> None:
    config = TextConfig(num_banks=1, vocab_size=5, inner_dim=64)
    cleanup = HashedCleanup(config, HashedEncoder(config))
    reads = 64 * cleanup.codebook[[1, 4]].sum(axis=0)[None, None].astype(np.int32)
    found = cleanup.several(reads, np.ones((1, 1), bool), 20)
    assert found.tokens[0, :2].tolist() == [1, 4]
    assert sorted(found.tokens[0].tolist()) == list(range(6))
