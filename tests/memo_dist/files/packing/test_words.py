"""Streams of bits: what is written in pieces of any length is what whole numbers say, and comes back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_format import stream

from memo_dist.files.packing import words as module
from memo_dist.files.packing.words import BitWriter, words_for
from memo_dist.kernels.packing import unpack


class Column:
    """Words where they were written; a gap or an overlap fails."""

    def __init__(self) -> None:
        self.words = np.zeros(0, np.uint64)

    def write(self, first: int, words: np.ndarray) -> None:
        assert first == len(self.words)
        self.words = np.concatenate([self.words, words])


@settings(deadline=None)
@given(st.integers(0, 64), st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=70), max_size=4), st.integers(0, 80))
def test_values_of_any_width_lie_one_behind_the_other(width: int, pieces: list[list[int]], padding: int) -> None:
    column, values = Column(), [value % (1 << width) for piece in pieces for value in piece]
    writer = BitWriter(column.write)
    for piece in pieces:
        writer.values(np.array([value % (1 << width) for value in piece], np.uint64), width)
    bits = len(values) * width + padding
    writer.close(bits)
    assert len(column.words) == words_for(bits)
    assert stream(column.words) == sum(value << width * index for index, value in enumerate(values))
    out = np.empty(len(values), np.uint64)
    unpack(column.words, 0, width, out)
    assert out.tolist() == values
    for first in range(0, len(values), 7):  # from within
        start = first * width
        rest = np.empty(len(values) - first, np.uint64)
        unpack(column.words[start >> 6 :], start & 63, width, rest)
        assert rest.tolist() == values[first:]


@pytest.mark.parametrize("piece", [1, 2, 1 << 17])
@settings(deadline=None)
@given(places=st.sets(st.integers(0, 2000), min_size=1), cut=st.integers(0, 50))
def test_ones_are_where_they_are_said_to_be(places: set[int], cut: int, piece: int) -> None:
    rising, column = np.array(sorted(places)), Column()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        writer = BitWriter(column.write)
        writer.ones(rising[:cut])
        writer.ones(rising[cut:])
        writer.close(2100)
    assert stream(column.words) == sum(1 << place for place in places)
    assert len(column.words) == words_for(2100)
