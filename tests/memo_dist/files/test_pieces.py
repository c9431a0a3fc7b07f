"""Streams in pieces: any of their bytes come back, a whole memory too, and pieces that do not go together are refused.

Covers: pieces.py, and what extents.py reads of them. Does not cover: what the bytes are (test_cells_file.py,
test_ledger_file.py), one piece (test_hostile.py).
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from plain_format import PlainShard

from memo_dist import Memory, TextConfig
from memo_dist.errors import DamagedMemoryError
from memo_dist.files import pieces
from memo_dist.files.extents import Extents, Items
from memo_dist.files.format import shard_file
from memo_dist.files.opened import open_memory
from memo_dist.files.pieces import PiecesWriter

SIZES = [0, 3, 0, 7, 8, 1, 1, 1, 0, 30, 4, 0]  # of banks; of pieces of 8 bytes at least: 10, 8, 33 and 4


def put(group: h5py.Group, sizes: list[int]) -> bytes:
    writer, data = PiecesWriter(group, "low", len(sizes)), np.random.default_rng(0).bytes(sum(sizes))
    at = 0
    for bank, size in enumerate(sizes):
        if size or bank % 2:  # banks may be left out
            writer.put(bank, data[at : at + size])
        at += size
    writer.close()
    group["low_bounds"] = writer.bounds
    return data


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_PIECE", 8)


def items(path: Path, count: int) -> Items:
    with h5py.File(path) as file:
        return Extents(path, file).items("low", "low_bounds", count)


@pytest.mark.usefixtures("few")
def test_any_banks_come_back_within_a_piece_and_beyond(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        data = put(file, SIZES)
        lengths = {name: len(found) for name, found in file.items() if name != "low_bounds"}
    assert lengths == {"low": 10, "low.1": 8, "low.2": 33, "low.3": 4}
    found, edges = items(tmp_path / "p.h5", len(SIZES)), np.cumsum([0, *SIZES]).tolist()
    for start in range(len(SIZES) + 1):
        for stop in range(start, len(SIZES) + 1):
            assert found.read(start, stop).tobytes() == data[edges[start] : edges[stop]]


@pytest.mark.parametrize("sizes", [[0, 0], [0, 8], [8, 8], [7]])
@pytest.mark.usefixtures("few")
def test_nothing_is_one_empty_dataset_and_no_piece_is_empty_else(tmp_path: Path, sizes: list[int]) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        data = put(file, sizes)
        assert len(file) == 1 + max(1, sum(size > 0 for size in sizes))
    assert items(tmp_path / "p.h5", len(sizes)).read(0, len(sizes)).tobytes() == data


def test_every_byte_is_handed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a stream far longer than a piece no more than a piece is kept in memory, and nothing beside the file."""
    monkeypatch.setattr(pieces, "_PIECE", 1 << 20)
    data = bytes(1 << 18)
    with h5py.File(tmp_path / "p.h5", "w", libver="latest") as file:
        writer = PiecesWriter(file, "low", 200)
        tracemalloc.start()
        for bank in range(200):
            writer.put(bank, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        writer.close()
    assert peak < 4 << 20
    assert (tmp_path / "p.h5").stat().st_size < 1.005 * 200 * len(data)
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]


@pytest.fixture
def memory(tmp_path: Path, few: None) -> Path:
    """Of many pieces of every stream."""
    made = Memory(TextConfig(num_banks=5, vocab_size=300, inner_dim=64))
    tokens = np.tile(np.random.default_rng(0).integers(0, 300, 400), 2)
    for name in ("a", "b"):
        made.memorize(name, tokens)
    made.shard.flush()
    made.shard.contents.matrices.store.read(0, 1)[0, 3, 5] = 1000
    made.save(tmp_path / "m.memo")
    return tmp_path / "m.memo"


def test_a_memory_of_many_pieces_is_read_as_another_reader_reads_it(memory: Path) -> None:
    plain = PlainShard(memory / shard_file(0), 5, 300)
    assert {"cells/low.4", "ledger/next/tokens.4", "ledger/next/more.4", "ledger/document/tokens.4"} < set(plain.arrays)
    with open_memory(memory) as opened:
        opened.verify()
        (shard,) = opened.require_working().files
        for bank in range(5):
            assert np.array_equal(shard.cells(bank), plain.cells(bank))
        truth = [row for rows in plain.ledger("ledger/next", 300) for row in rows]
        held = shard.entries(range(5))
        assert list(zip(*(column.tolist() for column in vars(held).values()), strict=True)) == truth


def missing(file: h5py.File, name: str) -> None:
    del file[name]


def empty(file: h5py.File, name: str) -> None:
    exchange(file, name, np.zeros(0, np.uint8))


def shorter(file: h5py.File, name: str) -> None:
    exchange(file, name, file[name][:-1])


def longer(file: h5py.File, name: str) -> None:
    exchange(file, name, np.append(file[name][:], np.uint8(0)))


def square(file: h5py.File, name: str) -> None:
    exchange(file, name, file[name][:][:, None])


def of_words(file: h5py.File, name: str) -> None:
    exchange(file, name, file[name][:].astype(np.uint16))


def group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


def number(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = np.uint8(1)


def chunked(file: h5py.File, name: str) -> None:
    values = file[name][:]
    del file[name]
    file.create_dataset(name, data=values, chunks=(1,))


def never_written(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, np.uint8)


def outside(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, np.uint8, external=[("/dev/zero", 0, shape[0])])


def exchange(file: h5py.File, name: str, values: np.ndarray) -> None:
    del file[name]
    file[name] = values


BAD = [missing, empty, shorter, longer, square, of_words, group, number, chunked, never_written, outside]


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("name", ["low", "low.1", "low.3"])
@pytest.mark.usefixtures("few")
def test_pieces_that_do_not_go_together_are_refused_by_name(
    tmp_path: Path, name: str, how: Callable[[h5py.File, str], None]
) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        put(file, SIZES)
    items(tmp_path / "p.h5", len(SIZES))
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        how(file, name)
    with pytest.raises(DamagedMemoryError, match=r"p\.h5: low\.3 has shape" if how is longer else r"p\.h5"):
        items(tmp_path / "p.h5", len(SIZES))


@pytest.mark.usefixtures("few")
def test_an_empty_piece_among_others_is_refused(tmp_path: Path) -> None:
    """Else a file of names alone would be read without end."""
    with h5py.File(tmp_path / "p.h5", "w") as file:
        put(file, SIZES)
        for index in (3, 2, 1):
            file.move(f"low.{index}", f"low.{index + 1}")
        file["low.1"] = np.zeros(0, np.uint8)
    with pytest.raises(DamagedMemoryError, match=r"p\.h5: low\.1 has shape \(0,\); expected 45 bytes at most"):
        items(tmp_path / "p.h5", len(SIZES))


@pytest.mark.parametrize("of", [7, 1 << 20])
def test_many_names_for_one_place_are_no_more_bytes_than_the_file(tmp_path: Path, of: int) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["low"] = np.zeros(of, np.uint8)
        for index in range(1, 1000):
            file[f"low.{index}"] = file["low"]
        file["low_bounds"] = np.array([0, 1000 * of], "<u8")
        file["beside"] = np.zeros(1000 * 7, np.uint8)
    if of == 7:  # as many bytes as the file may have: whose they are, digests say
        assert not items(tmp_path / "p.h5", 1).read(0, 1).any()
        return
    with pytest.raises(DamagedMemoryError, match="more than the file"):
        items(tmp_path / "p.h5", 1)
