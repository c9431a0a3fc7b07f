"""Packed cells: exact whatever a bank holds, never more than two bytes a cell, nothing malformed is unpacked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.packing.cells import WIDE, pack_cells, place_type, unpack_cells

EXTREMES = [-32768, -32767, -258, -257, -256, -255, -1, 0, 1, 254, 255, 256, 257, 258, 32766, 32767]


def bank_of_load(load: int, dim: int, seed: int = 0) -> np.ndarray:
    """Sums of so many signs in each cell, modulo 2^16."""
    positive = np.random.default_rng(seed).binomial(load, 0.5, (dim, dim))
    return np.asarray((2 * positive - load).astype(np.int16))


def assert_exact(cells: np.ndarray) -> tuple[int, bytes]:
    low, form, rest = pack_cells(cells)
    assert low.dtype == np.int8
    assert np.array_equal(unpack_cells(low, form, rest), cells)
    assert low.nbytes + len(rest) <= cells.nbytes
    return form, rest


@pytest.mark.parametrize("load", [0, 1, 2, 999, 1000, 6000, 20_000, 100_000, 1_000_000])
def test_banks_of_any_load_are_exact(load: int) -> None:
    form, rest = assert_exact(bank_of_load(load, 256))
    assert form == (load % 2 if load < 100_000 else WIDE)
    assert bool(rest) == (load >= 6000)


@given(st.lists(st.sampled_from(EXTREMES) | st.integers(-32768, 32767), min_size=64, max_size=64))
def test_any_cells_are_exact(values: list[int]) -> None:
    assert_exact(np.array(values, np.int16).reshape(8, 8))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 64 * 64), st.sampled_from(EXTREMES), st.integers(0, 99))
def test_any_share_of_exceptions_is_exact(count: int, value: int, seed: int) -> None:
    cells = bank_of_load(501, 64, seed)
    cells.reshape(-1)[np.random.default_rng(seed).choice(cells.size, count, replace=False)] = value
    assert_exact(cells)


def test_places_of_large_banks_are_wider() -> None:
    cells = bank_of_load(11, 320)
    cells[-1, -1], cells[0, 0] = -32768, 32767
    form, rest = assert_exact(cells)
    assert (form, len(rest)) == (1, 2 * (4 + 2))
    assert place_type(256 * 256).itemsize == 2


@pytest.mark.parametrize(
    ("form", "rest"),
    [
        (0, b"\1"),
        (3, b""),
        (255, b""),
        (WIDE, b""),
        (WIDE, bytes(63)),
        (WIDE, bytes(65)),
        (0, np.array([64, 5], "<u2").tobytes()),  # beyond the bank
        (1, np.array([5, 5, 1, 1], "<u2").tobytes()),  # a place twice
        (1, np.array([5, 4, 1, 1], "<u2").tobytes()),
    ],
)
def test_what_does_not_go_together_is_refused(form: int, rest: bytes) -> None:
    with pytest.raises(DamagedMemoryError):
        unpack_cells(np.zeros((8, 8), np.int8), form, rest)
