"""ScratchFile: bytes at offsets are a plain bytearray's, nobody sees a name, short writes and reads are resumed."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.errors import StorageError
from memo_dist.stores.scratch import ScratchFile

KINDS = ("<u8", "<u4", "<i2", "<f4", "u1")
operation = st.one_of(
    st.tuples(st.just("extend"), st.integers(0, 300), st.none()),
    st.tuples(st.just("write"), st.floats(0, 1), st.tuples(st.sampled_from(KINDS), st.integers(0, 20))),
    st.tuples(st.just("read"), st.floats(0, 1), st.tuples(st.sampled_from(KINDS), st.integers(0, 20))),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(operation, max_size=25))
def test_any_sequence_of_operations_is_that_of_a_bytearray(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple]
) -> None:
    file, model = ScratchFile(tmp_path_factory.getbasetemp() / "scratch"), bytearray()
    rng = np.random.default_rng(0)
    for name, place, shape in steps:
        if name == "extend":
            assert file.extend(place) == len(model)
            model.extend(bytes(place))
        else:
            kind, count = shape
            size = np.dtype(kind).itemsize * count
            if size > len(model):
                continue
            offset = int(place * (len(model) - size))
            if name == "write":
                content = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
                file.write(offset, np.frombuffer(content, kind))
                model[offset : offset + size] = content
            else:
                found = np.empty(count, kind)
                file.read_into(offset, found)
                assert found.tobytes() == bytes(model[offset : offset + size])
        assert file.size == len(model)


def test_arrays_of_several_axes_are_written_whole(tmp_path: Path) -> None:
    file, cells = ScratchFile(tmp_path), np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    file.write(file.extend(cells.nbytes), cells)
    found = np.empty_like(cells)
    file.read_into(0, found)
    assert np.array_equal(found, cells)


def test_nobody_sees_the_file(tmp_path: Path) -> None:
    """It has no name, so nothing is left however the process ends; the directory is made where there is none."""
    file = ScratchFile(tmp_path / "deep" / "down")
    file.write(file.extend(8), np.ones(1, np.uint64))
    assert list((tmp_path / "deep" / "down").iterdir()) == []


def test_short_writes_and_reads_are_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write or read less than it was asked for."""
    write, read = os.pwrite, os.preadv

    def short_write(handle: int, data: memoryview, offset: int) -> int:
        return write(handle, data[:3], offset)

    def short_read(handle: int, buffers: list[memoryview], offset: int) -> int:
        return read(handle, [buffers[0][:5]], offset)

    monkeypatch.setattr(os, "pwrite", short_write)
    monkeypatch.setattr(os, "preadv", short_read)
    file, numbers = ScratchFile(tmp_path), np.arange(100, dtype=np.uint32)
    file.write(file.extend(numbers.nbytes), numbers)
    found = np.empty_like(numbers)
    file.read_into(0, found)
    assert np.array_equal(found, numbers)


def test_what_the_system_refuses_names_the_directory(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a directory")
    with pytest.raises(StorageError, match="taken"):
        ScratchFile(tmp_path / "taken")
    file = ScratchFile(tmp_path / "scratch")
    file.extend(10)
    with pytest.raises(StorageError, match=r"scratch.*ends at 10"):
        file.read_into(6, np.empty(2, np.uint64))
