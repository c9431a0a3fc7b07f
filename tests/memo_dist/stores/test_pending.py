"""Pending: what is handed out is what was kept, and what is memorized comes before what is forgotten.

Covers: stores/pending.py on NumPy and on the stand-in for CuPy, over sequences of additions and takings, against a
plain multiset. Does not cover: merging what comes out (models/text/test_ledger.py).
"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import installed

from memo_dist.device.backend import to_device, to_host
from memo_dist.models.text.associations import Associations
from memo_dist.stores.pending import Pending

pair = st.tuples(st.sampled_from([0, 5, 99, 100, 2**63 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**32 - 1))
operation = st.one_of(
    st.tuples(st.just("add"), st.lists(pair, max_size=8), st.sampled_from([1, -1])),
    st.tuples(st.just("take"), st.none(), st.none()),
)


@pytest.mark.parametrize("device", [False, True], ids=["numpy", "device"])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(operation, max_size=20), limit=st.integers(1, 30))
def test_any_sequence_hands_out_what_was_kept(device: bool, steps: list[tuple], limit: int) -> None:
    with installed() as cupy:
        xp = cupy if device else np
        pending, kept = Pending(limit, xp), Counter[tuple[int, int, int]]()
        for kind, pairs, sign in [*steps, ("take", None, None), ("take", None, None)]:
            if kind == "add":
                names = to_device(np.array([one[0] for one in pairs], np.uint64), xp)
                tokens = to_device(np.array([one[1] for one in pairs], np.uint32), xp)
                pending.add(Associations(names, tokens), sign)
                kept.update((sign, *one) for one in pairs)
            else:
                found, signs = Counter[tuple[int, int, int]](), []
                for sign_out, some in pending.take():
                    pairs_out = zip(to_host(some.names).tolist(), to_host(some.tokens).tolist(), strict=True)
                    found.update((sign_out, *one) for one in pairs_out)
                    signs.append(sign_out)
                assert found == kept
                assert signs == sorted(signs, reverse=True)  # a forget of the same lot must find what was memorized
                kept.clear()
            assert pending.full == (kept.total() >= limit)


def test_what_is_handed_out_has_the_columns_types() -> None:
    pending = Pending(10)
    pending.add(Associations(np.arange(7, dtype=np.uint64), np.arange(7, dtype=np.uint32)), 1)
    ((sign, some),) = pending.take()
    assert (sign, some.names.dtype, some.tokens.dtype) == (1, np.uint64, np.uint32)
    assert len(some.names) == len(some.tokens) == 7


def test_a_new_one_is_neither_full_nor_hands_out_anything() -> None:
    pending = Pending(1)
    assert not pending.full
    assert list(pending.take()) == []


def test_the_callers_arrays_may_be_handed_over_in_any_layout() -> None:
    """Callers give slices of larger arrays."""
    pending = Pending(10)
    names, tokens = np.arange(20, dtype=np.uint64)[::2], np.arange(20, dtype=np.uint32)[1::2]
    pending.add(Associations(names, tokens), -1)
    ((sign, found),) = pending.take()
    assert sign == -1
    assert (found.names.tolist(), found.tokens.tolist()) == (names.tolist(), tokens.tolist())
