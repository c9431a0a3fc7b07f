"""By file: what is done to each file of a memory by itself gives what one process gives."""

from functools import partial
from pathlib import Path

import pytest
from contracts.configs import documents_of, text_config
from contracts.makers import save_in_shards

from cluster.by_file import each_file
from cluster.resources import Resources
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.published_writer import publish
from memo_dist.ranges.verifying import verify_by_range

NONE = Resources(address="none")
LOCAL = Resources(address="local")
each_here = partial(each_file, resources=NONE)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    save_in_shards(text_config(banks=7), documents_of(), tmp_path / "m.memo", 3)
    return tmp_path / "m.memo"


def broken_at_two(index: int) -> int:
    if index == 2:
        raise DamagedMemoryError("the third file is damaged")
    return index


def test_what_is_made_of_files_is_in_their_order() -> None:
    done: list[int] = []
    assert each_file(str, 9, resources=NONE, on_done=done.append) == [str(index) for index in range(9)]
    assert done == list(range(1, 10))
    assert each_file(str, 0, resources=NONE) == []


def test_the_fault_of_one_file_is_told() -> None:
    with pytest.raises(DamagedMemoryError, match="third file"):
        each_file(broken_at_two, 5, resources=NONE)


@pytest.mark.parametrize("each", [each_here, pytest.param(partial(each_file, resources=LOCAL), marks=pytest.mark.slow)])
def test_a_memory_is_verified_and_its_sums_published_file_by_file(
    memory: Path, each: "partial[list[object]]", request: pytest.FixtureRequest
) -> None:
    if each is not each_here:
        request.getfixturevalue("ray_local")
    verify_by_range(memory, each=each)
    plain = publish(memory, memory.with_name("plain.memo"), 2)
    found = publish(memory, memory.with_name("found.memo"), 2, each=each)
    assert (found.digest, found.shards) == (plain.digest, plain.shards)
    assert verify_by_range(memory.with_name("found.memo"), each=each).digest == plain.digest


def test_a_damaged_file_is_named(memory: Path) -> None:
    file = sorted(memory.glob("shard-00001*.h5"))[0]
    content = bytearray(file.read_bytes())
    content[-len(content) // 3] ^= 1
    file.write_bytes(content)
    for each in ({}, {"each": each_here}):
        with pytest.raises(DamagedMemoryError, match=file.name):
            verify_by_range(memory, **each)
