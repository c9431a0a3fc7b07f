"""Deltas against plain dictionaries: any change of what is held, and names that clash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memo_dist.errors import CountOverflowError, NotMemorizedError
from memo_dist.models.text.deltas import Deltas, changed
from memo_dist.models.text.ledger import Entries

PAIRS = st.tuples(st.integers(0, 5), st.integers(0, 3))  # few names, so that two tokens share some
COUNTS = st.dictionaries(PAIRS, st.integers(1, 4), max_size=12)
NEWS = st.dictionaries(PAIRS, st.integers(-4, 4).filter(bool), max_size=12)


def entries(counts: dict[tuple[int, int], int], kind: type) -> Entries:
    rows = sorted(counts.items())
    return Entries(
        np.array([name for (name, _), _ in rows], np.uint64),
        np.array([token for (_, token), _ in rows], np.uint32),
        np.array([count for _, count in rows], kind),
    )


@given(held=COUNTS, news=NEWS)
def test_what_comes_and_goes_is_what_a_dictionary_says(
    held: dict[tuple[int, int], int], news: dict[tuple[int, int], int]
) -> None:
    after = {pair: held.get(pair, 0) + news.get(pair, 0) for pair in {*held, *news}}
    if min(after.values(), default=0) < 0:
        with pytest.raises(NotMemorizedError):
            changed(entries(held, np.uint32), entries(news, np.int64))
        return
    kept, deltas = changed(entries(held, np.uint32), entries(news, np.int64))
    truth = entries({pair: count for pair, count in after.items() if count}, np.uint32)
    for one, other in zip(vars(kept).values(), vars(truth).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    flips = [(after[pair] > 0) - (held.get(pair, 0) > 0) for pair in sorted(news)]
    assert deltas.flips.tolist() == flips
    assert list(zip(*vars(deltas.flipped(1)).values(), strict=True)) == [
        pair for pair, flip in zip(sorted(news), flips, strict=True) if flip == 1
    ]
    again = Deltas.of_codes(deltas.coded())
    assert again.flips.tolist() == flips
    assert again.entries.counts.tolist() == deltas.entries.counts.tolist()


def test_the_codes_are_those_of_the_format() -> None:
    """1 + 4 (|D| - 1) + 2 [held before and after] + [D < 0]"""
    counts = np.array([1, -1, 2, -3, 1, -1], np.int64)
    flips = np.array([1, -1, 1, -1, 0, 0], np.int8)
    deltas = Deltas(Entries(np.arange(6, dtype=np.uint64), np.zeros(6, np.uint32), counts), flips)
    assert deltas.coded().counts.tolist() == [1, 2, 5, 10, 3, 4]


def test_a_change_that_no_code_has_is_refused() -> None:
    one = Entries(np.zeros(1, np.uint64), np.zeros(1, np.uint32), np.array([1 << 30]))
    with pytest.raises(CountOverflowError, match="1,073,741,824"):
        Deltas(one, np.ones(1, np.int8)).coded()
