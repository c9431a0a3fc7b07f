"""Packed counts: exact for any; frames of others than the bank's rows can have are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.packing.counts import pack_counts, unpack_counts
from memo_dist.files.packing.frames import compress, decompress


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.just(1) | st.integers(1, 4) | st.integers(1, 2**32 - 1), max_size=400))
def test_any_counts_come_back(values: list[int]) -> None:
    counts, found = np.array(values, np.uint32), np.full(len(values), 77, np.uint32)
    above, frame = pack_counts(counts)
    unpack_counts(frame, above, found)
    assert found.tolist() == values
    places = [place for place, value in enumerate(values) if value > 1]
    ones = [place - before - 1 for before, place in zip([-1, *places], places, strict=False)]
    numbers = [*ones, *(values[place] - 2 for place in places)]
    assert above == len(places)
    octets = [
        (number >> 8 * plane) & 255
        for half in (numbers[:above], numbers[above:])
        for plane in range(4)
        for number in half
    ]
    assert decompress(frame, 8 * above).tolist() == octets


def test_a_bank_of_ones_takes_nothing() -> None:
    assert pack_counts(np.ones(1000, np.uint32)) == (0, b"")
    assert pack_counts(np.ones(0, np.uint32)) == (0, b"")


def test_rare_counts_take_less_than_a_third_of_a_bit_a_row() -> None:
    above = np.random.default_rng(0).random(6000) < 0.03
    assert len(pack_counts(np.where(above, 2, 1).astype(np.uint32))[1]) < 0.3 * len(above) / 8


@pytest.mark.parametrize("above", [0, 1, 24, 26, 50])
def test_a_frame_of_more_or_fewer_counts_is_refused(above: int) -> None:
    with pytest.raises(DamagedMemoryError, match="frame of"):
        unpack_counts(compress(np.zeros(200, np.uint8)), above, np.zeros(100, np.uint32))


@pytest.mark.parametrize("load", [0, 1, 24])
def test_more_counts_than_rows_are_refused(load: int) -> None:
    with pytest.raises(DamagedMemoryError, match="rows"):
        unpack_counts(compress(np.zeros(200, np.uint8)), 25, np.zeros(load, np.uint32))
