"""PartStore, a contract: parts in memory or behind a device are those of a plain list of lists.

Covers: all stores, on NumPy and on the stand-in for CuPy, over sequences of writes and reads. Does not cover: merging
(models/text/test_ledger.py).
"""

import numpy as np
import pytest
from contracts.makers import NUMPY, part_stores
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import installed

from memo_dist.device.backend import to_device, to_host

PARTS = 4
NAMES = ["resident", "host"]
TYPES = (np.uint64, np.uint32, np.uint32)
row = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
rows = st.one_of(st.lists(row, max_size=4), st.integers(5, 60).flatmap(lambda n: row.map(lambda one: [one] * n)))
operation = st.one_of(
    st.tuples(st.just("write"), st.integers(0, PARTS - 1), rows),
    st.tuples(st.just("read"), st.integers(0, PARTS - 1), st.none()),
)


def columns(given_rows: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.array([one[i] for one in given_rows], kind) for i, kind in enumerate(TYPES)]


@pytest.mark.parametrize("device", [False, True], ids=["numpy", "device"])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(operation, max_size=25))
def test_any_sequence_of_operations_is_that_of_a_list(name: str, device: bool, steps: list[tuple]) -> None:
    with installed() as cupy:
        xp = cupy if device else NUMPY
        store = part_stores(PARTS, xp)[name]
        model: list[list[tuple[int, int, int]]] = [[] for _ in range(PARTS)]
        for kind, index, written in [*steps, *(("read", part, None) for part in range(PARTS))]:
            if kind == "write":
                names, tokens, counts = (to_device(column, xp) for column in columns(written))
                store.write(index, (names, tokens, counts))
                model[index] = written
            else:  # not after a write: which part was used last must not matter
                for column, truth in zip(store.read(index), columns(model[index]), strict=True):
                    assert (column.dtype, to_host(column).tolist()) == (truth.dtype, truth.tolist())
            assert list(store.lengths) == [len(part) for part in model]


@pytest.mark.parametrize("name", NAMES)
def test_a_part_that_grows_and_moves_leaves_its_neighbours_alone(name: str) -> None:
    store = part_stores(PARTS, NUMPY)[name]
    for size in (3, 100, 2, 1000):
        for index in range(PARTS):
            store.write(index, tuple(np.full(size + index, index + size, kind) for kind in TYPES))
        for index in reversed(range(PARTS)):
            for column in store.read(index):
                assert column.tolist() == [index + size] * (size + index)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_store_has_empty_parts_of_the_columns_types(name: str) -> None:
    store = part_stores(PARTS, NUMPY)[name]
    assert list(store.lengths) == [0] * PARTS
    assert [(len(c), c.dtype) for c in store.read(2)] == [(0, np.dtype(kind)) for kind in TYPES]
