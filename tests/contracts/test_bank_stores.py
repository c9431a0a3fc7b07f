"""BankStore, a contract: cells in memory or behind a device are those of a plain dictionary of banks.

Covers: all stores, on NumPy and on the stand-in for CuPy, over sequences of visits, fills and reads. Does not cover:
which store a shard takes (stores/test_stores.py).
"""

from types import ModuleType

import numpy as np
import pytest
from contracts.makers import NUMPY, bank_stores
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import installed

from memo_dist.device.backend import to_device, to_host
from memo_dist.stores.banks import BankStore, Group

BANKS, ROWS, COLUMNS = 6, 3, 4
CELL_TYPES = ("<i2", "<f4")


class Model:
    """Banks as a dictionary of lists of numbers."""

    def __init__(self) -> None:
        self.cells = {bank: [0] * (ROWS * COLUMNS) for bank in range(BANKS)}

    def array(self, banks: Group) -> np.ndarray:
        return np.array([self.cells[int(bank)] for bank in banks]).reshape(len(banks), ROWS, COLUMNS)

    def add(self, bank: int, change: list[int]) -> None:
        self.cells[bank] = [cell + more for cell, more in zip(self.cells[bank], change, strict=True)]


cells_of_a_bank = st.lists(st.integers(-100, 100), min_size=ROWS * COLUMNS, max_size=ROWS * COLUMNS)
disjoint = st.lists(st.integers(0, BANKS - 1), unique=True).flatmap(
    lambda banks: st.lists(st.integers(1, 3), max_size=6).map(lambda sizes: _cut(banks, sizes))
)
operation = st.one_of(
    st.tuples(st.just("fill"), st.integers(0, BANKS - 1), cells_of_a_bank),
    st.tuples(st.just("change"), disjoint, cells_of_a_bank),
    st.tuples(st.just("look"), disjoint, st.booleans()),
    st.tuples(st.just("read"), st.integers(0, BANKS), st.integers(0, BANKS)),
)


def _cut(banks: list[int], sizes: list[int]) -> list[list[int]]:
    """Groups of rising banks, no bank in two of them."""
    groups = []
    for size in sizes:
        if banks:
            groups.append(sorted(banks[:size]))
            banks = banks[size:]
    return groups


def as_group(banks: list[int], as_range: bool = True) -> Group:
    """A range where the banks follow each other, as callers give them, else an array."""
    if as_range and banks[-1] - banks[0] + 1 == len(banks):
        return range(banks[0], banks[-1] + 1)
    return np.array(banks, np.int64)


def follow(store: BankStore, model: Model, xp: ModuleType, step: tuple) -> None:
    """Do one operation on both, and compare."""
    name, first, second = step
    if name == "fill":
        kind = to_host(store.read(0, 1)).dtype
        store.fill(first, np.array(second, kind).reshape(ROWS, COLUMNS))
        model.cells[first] = second
    elif name == "read":
        start, stop = sorted((first, second))
        assert np.array_equal(to_host(store.read(start, stop)), model.array(range(start, stop)))
    elif name == "look":
        seen = []
        for banks, cells in store.visit([as_group(g, second) for g in first], change=False):
            seen.append([int(bank) for bank in banks])
            assert np.array_equal(to_host(cells), model.array(banks))
        assert seen == first
    else:
        seen = []
        for banks, cells in store.visit(as_group(g) for g in first):
            seen.append([int(bank) for bank in banks])
            assert np.array_equal(to_host(cells), model.array(banks))
            kind = to_host(store.read(0, 1)).dtype
            cells += to_device(np.array(second, kind).reshape(ROWS, COLUMNS), xp)
            for bank in banks:
                model.add(int(bank), second)
        assert seen == first


@pytest.mark.parametrize("device", [False, True], ids=["numpy", "device"])
@pytest.mark.parametrize("name", ["resident", "host"])
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(operation, max_size=15), kind=st.sampled_from(CELL_TYPES))
def test_any_sequence_of_operations_is_that_of_a_dictionary(
    name: str, device: bool, steps: list[tuple], kind: str
) -> None:
    with installed() as cupy:
        xp = cupy if device else NUMPY
        store = bank_stores((BANKS, ROWS, COLUMNS), kind, xp)[name]
        model = Model()
        for step in [*steps, ("read", 0, BANKS)]:
            follow(store, model, xp, step)


@pytest.fixture(params=["resident", "host"])
def store(request: pytest.FixtureRequest) -> BankStore:
    return bank_stores((BANKS, ROWS, COLUMNS), "<i2", NUMPY)[request.param]


def test_a_new_store_is_zero_of_its_cell_type(store: BankStore) -> None:
    cells = store.read(0, BANKS)
    assert (cells.shape, cells.dtype.str, cells.any()) == ((BANKS, ROWS, COLUMNS), "<i2", np.False_)
    assert store.read(2, 2).shape == (0, ROWS, COLUMNS)
    assert store.group_bytes > 0


def test_no_groups_are_no_visits(store: BankStore) -> None:
    assert list(store.visit([])) == []
    assert list(store.visit([], change=False)) == []


def test_a_filled_bank_is_a_copy(store: BankStore) -> None:
    given_cells = np.ones((ROWS, COLUMNS), np.int16)
    store.fill(1, given_cells)
    given_cells[:] = 7
    assert np.array_equal(store.read(1, 2)[0], np.ones((ROWS, COLUMNS)))


def test_stores_do_not_share_cells() -> None:
    for name in ("resident", "host"):
        one, two = (bank_stores((BANKS, ROWS, COLUMNS), "<i2", NUMPY)[name] for _ in range(2))
        one.fill(0, np.ones((ROWS, COLUMNS), np.int16))
        assert not two.read(0, BANKS).any()
