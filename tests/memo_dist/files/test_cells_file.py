"""Cells in a file: banks of every form come back one by one, as a second reader has them; what does not fit is refused.

Covers: cells_file.py. Does not cover: one bank's packed form (packing/test_cells.py), digests (test_shard_reader.py).
"""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from plain_format import PlainShard

from memo_dist import MemoryConfig, PaperConfig, TextConfig
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.cells_file import CellsReader, CellsWriter
from memo_dist.files.extents import Extents
from memo_dist.files.packing.frames import compress

TEXT = TextConfig(num_banks=9, vocab_size=9, inner_dim=64)
PAPER = PaperConfig.of(9, 64, num_heads=4)


def banks_of_every_form() -> np.ndarray:
    """(9, 64, 64) int16: empty, even, odd, with a few exceptions, many, all."""
    rng = np.random.default_rng(0)
    loads = [0, 1, 2, 1000, 7001, 30_000, 200_000, 10**6, 3]
    banks = np.stack([2 * rng.binomial(load, 0.5, (64, 64)) - load for load in loads]).astype(np.int16)
    banks[8] = rng.integers(-32768, 32768, (64, 64))
    return banks


def write(path: Path, config: MemoryConfig, cells: np.ndarray, step: int = 4) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["first_bank"], file.attrs["stop_bank"] = 0, len(cells)
        writer = CellsWriter(file, config, len(cells))
        for first in range(0, len(cells), step):
            writer.put(first, cells[first : first + step])
        writer.close()


def opened(path: Path, config: MemoryConfig, banks: int) -> CellsReader:
    with h5py.File(path) as file:
        return CellsReader(Extents(path, file), config, banks)


@pytest.mark.parametrize("step", [1, 2, 1000])
def test_banks_of_every_form_come_back(tmp_path: Path, step: int) -> None:
    cells = banks_of_every_form()
    write(tmp_path / "c.h5", TEXT, cells, step)
    found, plain = opened(tmp_path / "c.h5", TEXT, 9), PlainShard(tmp_path / "c.h5", 9, 9)
    for bank in (*range(9), 4, 0):
        assert found.read(bank).dtype == np.int16
        assert np.array_equal(found.read(bank), cells[bank])
        assert np.array_equal(plain.cells(bank), cells[bank])
    assert plain.arrays["cells/forms"].tolist() == [0, 1, 0, 0, 1, 0, 2, 2, 2]
    sizes = np.diff(plain.arrays["cells/rest_bounds"].astype(int))
    assert (sizes[:4] == 0).all()
    assert (sizes[6:] == 64 * 64).all()
    assert (sizes[4:6] > 0).all()


def test_cells_that_are_no_whole_numbers_are_kept_as_they_are(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).standard_normal((4, *PAPER.bank_shape), np.float32)
    write(tmp_path / "c.h5", PAPER, cells)
    found = opened(tmp_path / "c.h5", PAPER, 4)
    assert all(np.array_equal(found.read(bank), cells[bank]) for bank in range(4))


@pytest.mark.parametrize("name", ["forms", "rest_bounds", "rest", "low_bounds", "low"])
def test_any_bits_are_cells_or_refused(tmp_path: Path, name: str) -> None:
    path, cells, rng = tmp_path / "c.h5", banks_of_every_form(), np.random.default_rng(1)
    write(path, TEXT, cells)
    whole, silent = path.read_bytes(), 0
    for turn in range(60):
        with h5py.File(path, "r+") as file:
            values = file[f"cells/{name}"][:]
            octets = values.view(np.uint8).reshape(-1)
            octets[rng.integers(len(octets))] ^= np.uint8(1 << rng.integers(8))
            if turn % 5 == 0:
                octets[rng.integers(len(octets)) :] = rng.choice([0, 255])
            file[f"cells/{name}"][...] = values
        found = outcome(path)
        silent += found is not None and np.array_equal(found, cells)
        silent -= np.array_equal(octets, kept(whole, path, name))
        path.write_bytes(whole)
    assert silent <= 3 * (name == "low")  # bits of a frame that say nothing, or of cells that are exceptions
    assert np.array_equal(outcome(path), cells)


@pytest.mark.parametrize("foreign", ["shorter", "longer", "of another size", "garbage", "none", "with more behind"])
@pytest.mark.parametrize("bank", [0, 3, 5, 8])
def test_a_foreign_frame_is_refused_by_file_and_bank(tmp_path: Path, bank: int, foreign: str) -> None:
    path, cells = tmp_path / "c.h5", banks_of_every_form()
    write(path, TEXT, cells)
    with h5py.File(path, "r+") as file:
        group = file["cells"]
        bounds, whole = group["low_bounds"][:].astype(int), group["low"][:].tobytes()
        frames = [whole[start:stop] for start, stop in pairwise(bounds.tolist())]
        frames[bank] = {
            "shorter": compress(np.zeros(64 * 64 - 1, np.int8)),
            "longer": compress(np.zeros(64 * 64 + 1, np.int8)),
            "of another size": compress(np.zeros(1 << 24, np.int8)),
            "garbage": bytes(range(100)),
            "none": b"",
            "with more behind": frames[bank] + b"more",
        }[foreign]
        del group["low"], group["low_bounds"]
        group["low"] = np.frombuffer(b"".join(frames), np.uint8)
        group["low_bounds"] = np.cumsum([0, *(len(frame) for frame in frames)]).astype("<u8")
    found = opened(path, TEXT, 9)
    with pytest.raises(DamagedMemoryError, match=rf"c\.h5: the cells of the file's bank {bank} cannot be unpacked"):
        found.read(bank)
    assert all(np.array_equal(found.read(other), cells[other]) for other in range(9) if other != bank)


def outcome(path: Path) -> np.ndarray | None:
    """All banks; None if one is refused by the file's name."""
    try:
        found = opened(path, TEXT, 9)
        return np.stack([found.read(bank) for bank in range(9)])
    except DamagedMemoryError as error:
        assert path.name in str(error)  # noqa: PT017  # either is right
    return None


def kept(whole: bytes, path: Path, name: str) -> np.ndarray:
    """A dataset's bytes before the damage."""
    path.write_bytes(whole)
    with h5py.File(path) as file:
        return np.asarray(file[f"cells/{name}"][:].view(np.uint8).reshape(-1))
