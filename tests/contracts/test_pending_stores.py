"""PendingStore, a contract: what is handed out is what was kept, and what is memorized comes before what is forgotten.

Covers: all stores, on NumPy and on the stand-in for CuPy, over sequences of additions and takings, against a plain
multiset. Does not cover: merging what comes out (models/text/test_ledger.py).
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from contracts.makers import NUMPY, pending_stores
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import installed

from memo_dist.device.backend import to_device, to_host
from memo_dist.models.text.associations import Associations

NAMES = ["resident", "file"]
EDGES = [100, 200, 2**63]
pair = st.tuples(
    st.sampled_from([0, 5, 99, 100, 150, 199, 200, 2**63 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**32 - 1)
)
operation = st.one_of(
    st.tuples(st.just("add"), st.lists(pair, max_size=8), st.sampled_from([1, -1])),
    st.tuples(st.just("take"), st.none(), st.none()),
)


def part_of(name: int) -> int:
    return sum(name >= edge for edge in EDGES)


@pytest.mark.parametrize("device", [False, True], ids=["numpy", "device"])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(operation, max_size=20), piece=st.integers(1, 12), limit=st.integers(1, 30))
def test_any_sequence_hands_out_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory, name: str, device: bool, steps: list[tuple], piece: int, limit: int
) -> None:
    with installed() as cupy:
        xp = cupy if device else NUMPY
        directory = tmp_path_factory.getbasetemp() / "pending"
        store = pending_stores(directory, EDGES, piece=piece, limit=limit, xp=xp)[name]
        kept: Counter[tuple[int, int, int]] = Counter()
        for kind, pairs, sign in [*steps, ("take", None, None), ("take", None, None)]:
            if kind == "add":
                names = to_device(np.array([one[0] for one in pairs], np.uint64), xp)
                tokens = to_device(np.array([one[1] for one in pairs], np.uint32), xp)
                store.add(Associations(names, tokens), sign)
                kept.update((sign, *one) for one in pairs)
            else:
                found: Counter[tuple[int, int, int]] = Counter()
                signs_of_part: dict[int, list[int]] = {}
                for sign_out, some in store.take():
                    pairs_out = list(zip(to_host(some.names).tolist(), to_host(some.tokens).tolist(), strict=True))
                    found.update((sign_out, *one) for one in pairs_out)
                    for part in {part_of(one[0]) for one in pairs_out}:
                        signs_of_part.setdefault(part, []).append(sign_out)
                assert found == kept
                # a forget of the same lot must find what was memorized, part by part
                assert all(signs == sorted(signs, reverse=True) for signs in signs_of_part.values())
                kept.clear()
            assert store.full == (kept.total() >= limit)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_out_has_the_columns_types(name: str, tmp_path: Path) -> None:
    store = pending_stores(tmp_path, EDGES, piece=3, limit=10, xp=NUMPY)[name]
    store.add(Associations(np.arange(7, dtype=np.uint64), np.arange(7, dtype=np.uint32)), 1)
    for sign, some in store.take():
        assert (sign, some.names.dtype, some.tokens.dtype) == (1, np.uint64, np.uint32)
        assert len(some.names) == len(some.tokens) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_new_store_is_neither_full_nor_hands_out_anything(name: str, tmp_path: Path) -> None:
    store = pending_stores(tmp_path, EDGES, piece=3, limit=1, xp=NUMPY)[name]
    assert not store.full
    assert list(store.take()) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_callers_arrays_may_be_handed_over_in_any_layout(name: str, tmp_path: Path) -> None:
    """Callers give slices of larger arrays."""
    store = pending_stores(tmp_path, EDGES, piece=100, limit=10, xp=NUMPY)[name]
    names, tokens = np.arange(20, dtype=np.uint64)[::2], np.arange(20, dtype=np.uint32)[1::2]
    store.add(Associations(names, tokens), -1)
    ((sign, found),) = store.take()
    assert sign == -1
    assert (found.names.tolist(), found.tokens.tolist()) == (names.tolist(), tokens.tolist())
