"""Frames: bytes come back; what holds others, or comes from elsewhere, is refused, in no more memory than was asked."""

import resource
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.packing.frames import compress, decompress

HELD = bytes(np.random.default_rng(0).binomial(40, 0.5, 5000).astype(np.uint8))
FRAME = compress(np.frombuffer(HELD, np.uint8))
CONTENT_SIZE = slice(5, 7)  # of a frame in one piece of 256 to 65,791 bytes: these less 256 (RFC 8878, 3.1.1.1)
BEHIND = {
    "a byte": b"\0",
    "words": b"more of it",
    "zeros": bytes(100),
    "half a frame": FRAME[: len(FRAME) // 2],
    "a frame again": FRAME,
    "half a frame to skip": struct.pack("<II", 0x184D2A50, 9) + b"12345678",
}


@given(st.binary(max_size=300) | st.integers(0, 3000).map(lambda size: bytes(size) + b"end"))
def test_any_bytes_come_back(held: bytes) -> None:
    frame = compress(np.frombuffer(held, np.uint8))
    assert decompress(frame, len(held)).tobytes() == held
    assert decompress(np.frombuffer(frame, np.uint8), len(held)).dtype == np.uint8
    assert bool(frame) == bool(held)


def test_an_array_is_its_bytes_row_by_row() -> None:
    values = np.arange(24, dtype=np.int8).reshape(4, 6)
    for one in (values, values.T, values[::2]):
        assert decompress(compress(one), one.size).tobytes() == one.tobytes()


def test_a_frame_says_how_much_it_holds() -> None:
    assert FRAME[:5].hex() == "28b52ffd60"  # magic number; in one piece, with a content size of two bytes
    assert int.from_bytes(FRAME[CONTENT_SIZE], "little") + 256 == len(HELD)
    assert len(FRAME) < 0.75 * len(HELD)


@pytest.mark.parametrize("size", [0, 1, 4999, 5001, 5000 * 8, 1 << 24])
def test_more_or_fewer_bytes_than_it_holds_are_refused(size: int) -> None:
    with pytest.raises(DamagedMemoryError, match="frame of"):
        decompress(FRAME, size)


@pytest.mark.parametrize("stated", [0, 1, 5001 - 256, 65_535])
def test_a_frame_that_says_another_size_is_refused(stated: int) -> None:
    changed = bytearray(FRAME)
    changed[CONTENT_SIZE] = stated.to_bytes(2, "little")
    for size in (5000, stated + 256):
        with pytest.raises(DamagedMemoryError, match="frame of"):
            decompress(bytes(changed), size)


@pytest.mark.parametrize("behind", BEHIND)
def test_bytes_behind_a_frame_are_refused(behind: str) -> None:
    with pytest.raises(DamagedMemoryError, match="frame of"):
        decompress(FRAME + BEHIND[behind], len(HELD))


@given(st.binary(max_size=100), st.integers(1, 1000))
def test_what_is_no_frame_is_refused(garbage: bytes, size: int) -> None:
    with pytest.raises(DamagedMemoryError, match="does not hold"):
        decompress(garbage, size)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 8, 100, len(FRAME) - 1])
def test_a_frame_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(DamagedMemoryError, match="does not hold"):
        decompress(FRAME[:length], len(HELD))


def test_memory_does_not_grow_by_what_a_frame_holds() -> None:
    """17 KB of zstd that are half a gigabyte."""
    codec = pa.Codec("zstd", compression_level=1)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for _ in range(512):
            stream.write(bytes(1 << 20))
    bomb = sink.getvalue().to_pybytes()
    assert len(bomb) < 1 << 16
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for frame in (bomb, codec.compress(bytes(1 << 16), asbytes=True) + bomb):
        with pytest.raises(DamagedMemoryError, match="does not hold"):
            decompress(frame, 1 << 16)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14  # KiB
