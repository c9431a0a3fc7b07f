"""Packed tokens: exact for any, byte plane by byte plane; a frame of more or fewer is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.packing.frames import compress, decompress
from memo_dist.files.packing.tokens import pack_tokens, unpack_tokens


@given(st.integers(1, 4), st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 300), max_size=80))
def test_any_tokens_come_back(planes: int, values: list[int]) -> None:
    tokens = np.array([value % 256**planes for value in values], np.uint32)
    frame, found = pack_tokens(tokens, planes), np.zeros(len(tokens), np.uint32)
    unpack_tokens(frame, planes, found)
    assert found.tolist() == tokens.tolist()
    octets = [(token >> 8 * plane) & 255 for plane in range(planes) for token in tokens.tolist()]
    assert decompress(frame, len(octets)).tolist() == octets


def test_tokens_of_text_take_fewer_bits_than_they_have() -> None:
    tokens = np.minimum(np.random.default_rng(0).zipf(1.2, 6000), 31_999).astype(np.uint32)
    assert 8 * len(pack_tokens(tokens, 2)) < 0.75 * 15 * len(tokens)


@pytest.mark.parametrize("count", [0, 1, 99, 101, 200])
def test_a_frame_of_more_or_fewer_tokens_is_refused(count: int) -> None:
    with pytest.raises(DamagedMemoryError, match="frame of"):
        unpack_tokens(compress(np.zeros(200, np.uint8)), 2, np.zeros(count, np.uint32))
