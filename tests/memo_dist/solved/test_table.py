"""Tables: every window reads its value, whatever their number; what is not held passes as seldom as check bits say.

Truth: plain_solved.py, which adds up rows by the equations.
"""

import numpy as np
import plain_solved
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.errors import ConfigError
from memo_dist.solved.shape import shapes_for
from memo_dist.solved.table import COLUMNS, choose_codes, make_piece, solve_table, words_of
from memo_dist.solved.values import ValueLayout
from memo_dist.solved.walk import Pieces, Tables


def hashes_of(count: int, seed: int, cut: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.unique(rng.integers(0, 2**64, 2 * count + 8, dtype=np.uint64) >> np.uint64(cut))
    return np.sort(rng.permutation(found)[:count])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(1, 57), st.integers(0, 5), st.integers(0, 10**6))
def test_every_key_reads_its_value(count: int, bits: int, cut: int, seed: int) -> None:
    hashes = hashes_of(count, seed, cut)
    values = np.random.default_rng(seed).integers(0, 2**bits, count, dtype=np.uint64)
    shape, table = solve_table(hashes, values, shift=cut)
    assert len(table) == (shape.rows if count else 0)
    for h, value in zip(hashes.tolist(), values.tolist(), strict=True):
        rows = plain_solved.rows_of(h, shift=cut, seed=shape.seed, count=shape.count, length=shape.length)
        found = 0
        for row in rows:
            found ^= int(table[row])
        assert found == value


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 100, 5_000, 200_000])
def test_tables_are_little_larger_than_what_they_hold(count: int) -> None:
    """About 1.1 rows a window of many; few have a few rows more."""
    shape, _ = solve_table(hashes_of(count, 1), np.zeros(count, np.uint64), shift=0)
    assert shape.rows <= (1.14 * count if count > 100_000 else 2 * count + 12)


def test_the_same_keys_give_the_same_table() -> None:
    hashes = hashes_of(4_000, 7)
    first, second = (solve_table(hashes, hashes >> np.uint64(40), shift=0) for _ in range(2))
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1])


def test_a_table_that_does_not_peel_is_tried_again() -> None:
    """Other seeds first, then more rows: small tables often need it."""
    seeds = [solve_table(hashes_of(40, seed), np.zeros(40, np.uint64), shift=0)[0].seed for seed in range(40)]
    assert max(seeds) > 0
    shapes = [shape for shape, _ in zip(shapes_for(1000), range(40), strict=False)]
    assert [shape.seed for shape in shapes] == list(range(40))
    assert shapes[-1].rows > shapes[0].rows


def test_equal_hashes_are_refused() -> None:
    hashes = hashes_of(50, 3)
    hashes[1] = hashes[0]
    with pytest.raises(ConfigError, match="not distinct"):
        solve_table(hashes, np.arange(50, dtype=np.uint64), shift=0)


def tables_of(hashes: np.ndarray, numbers: np.ndarray, several: np.ndarray, layout: ValueLayout) -> Tables:
    """A ladder of one rung of one piece, in memory."""
    piece = make_piece(hashes, numbers, several, layout=layout, shift=0)
    row = piece.shape.row()
    near, far, _ = np.cumsum(words_of(row[None, :], layout)[0]).tolist()
    kept = row.astype(np.int64)
    place = np.array([[0, *kept[1:5], near, *kept[5:8], far, kept[0]]])
    zero = np.zeros(1, np.int64)
    known = Pieces(first=zero, cuts=zero, places=place, files=zero, layout=layout, largest=2**layout.number_bits - 1)
    return Tables(known, [piece.words], lambda pieces: None)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(1, 20), st.integers(1, 16), st.booleans(), st.integers(0, 10**6))
def test_numbers_with_and_without_codes(count: int, number_bits: int, check_bits: int, few: bool, seed: int) -> None:
    rng, hashes = np.random.default_rng(seed), hashes_of(count, seed)
    largest = 2**number_bits
    numbers = rng.integers(0, min(4, largest) if few else largest, count)
    several = rng.random(count) < 0.2
    found, more = tables_of(hashes, numbers, several, ValueLayout(check_bits, number_bits)).read(hashes)
    assert np.array_equal(found, numbers)
    assert np.array_equal(more, several)


def test_codes_make_a_piece_smaller_where_some_numbers_are_common() -> None:
    rng = np.random.default_rng(2)
    hashes = hashes_of(50_000, 2)
    numbers = np.minimum(rng.zipf(1.3, 50_000), 60_000) - 1
    layout, none = ValueLayout(8, 16), np.zeros(50_000, bool)
    commonest, bits = choose_codes(numbers, layout)
    assert 1 <= bits < 16
    assert len(commonest) == 2**bits - 1
    assert commonest[:3].tolist() == [0, 1, 2]
    piece = make_piece(hashes, numbers, none, layout=layout, shift=0)
    assert 64 * len(piece.words) < 0.93 * 1.08 * 50_000 * layout.near_bits(0)
    assert piece.shape.row().shape == (COLUMNS,)


@pytest.mark.parametrize("check_bits", [4, 8, 12])
def test_what_is_not_held_passes_as_seldom_as_the_check_bits_say(check_bits: int) -> None:
    held, layout = hashes_of(20_000, 4), ValueLayout(check_bits, 12)
    tables = tables_of(held, np.arange(20_000) % 4000, np.zeros(20_000, bool), layout)
    strange = np.setdiff1d(np.random.default_rng(5).integers(0, 2**64, 200_000, dtype=np.uint64), held)
    found, _ = tables.read(strange)
    expected = len(strange) / 2**check_bits
    assert abs(int((found >= 0).sum()) - expected) < 5 * np.sqrt(expected) + 5


def test_check_bits_are_those_of_the_equation() -> None:
    hashes, layout = hashes_of(200, 6), ValueLayout(8, 12)
    assert layout.checks(hashes).tolist() == [plain_solved.check_of(h, 8) for h in hashes.tolist()]
