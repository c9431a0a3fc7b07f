"""A memory from somebody else: files whose checksums were all made to fit are refused in little memory, never believed.

Covers: sizes, offsets and bits of every dataset that a stranger may have written, in working and published memories.
Does not cover: accidents (test_corruption.py), the HDF5 library's own faults.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from memo_dist import Memory, PaperConfig, TextConfig
from memo_dist.digests import hex_digest
from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.format import shard_file
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.shard import memory_digest

TEXT = TextConfig(num_banks=3, vocab_size=300, inner_dim=64)
ROOM = 64 << 20
CELLS = [f"cells/{name}" for name in ("low", "low_bounds", "forms", "rest_bounds", "rest")]
COLUMNS = ("rows", "uppers", "lowers", "tokens", "token_bounds", "more_rows", "more_bounds", "more")
LEDGER = [f"ledger/{kind}/{name}" for kind in ("next", "document") for name in COLUMNS]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in LEDGER if "document" in name]  # read as the others are
WORKING = [*CELLS, *LEDGER[: len(COLUMNS)], *SLOW, "bank_digests", "token_counts"]
RECORDS = ["applied"]
PUBLISHED = ["cells", "scales", "bank_digests", "token_counts"]
HUGE = 1 << 36


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """With cells that need exceptions, and counts above 1, also of anchors."""
    made = Memory(TEXT)
    tokens = np.tile(np.random.default_rng(0).integers(0, 300, 400), 2)
    for name in ("a", "b"):
        made.memorize(name, tokens)
    made.shard.flush()
    made.shard.contents.matrices.store.read(0, 1)[0, 3, 5] = 1000
    made.save(tmp_path / "m.memo")
    return tmp_path / "m.memo"


@contextmanager
def altered(memory: Path) -> Iterator[h5py.File]:
    """The shard file, to be changed; then whatever says that it is whole is made to fit, as far as it can be."""
    path, old = memory / shard_file(0), Manifest.read(memory)
    with h5py.File(path, "r+") as file:
        yield file
    with h5py.File(path) as file:
        digests, counts, *records = (small(file, name) for name in ("bank_digests", "token_counts", *RECORDS))
    record = replace(
        old.shards[0],
        bytes=path.stat().st_size,
        blake2b=file_digest(path),
        digests=hex_digest(digests),
        token_counts=hex_digest(counts),
        records=hex_digest(*records),
    )
    replace(old, shards=[record], digest=memory_digest(old.config, "", digests)).write(memory)


def small(file: h5py.File, name: str) -> np.ndarray:
    """What a dataset holds; nothing of one that is none, or too large."""
    try:
        found = file[name]
    except KeyError:
        return np.zeros(0)
    return np.atleast_1d(found[()]) if isinstance(found, h5py.Dataset) and found.nbytes < ROOM else np.zeros(0)


def read_all(memory: Path) -> None:
    """Every way of reading one, in little memory."""
    tracemalloc.start()
    try:
        with open_memory(memory) as opened:
            banks = opened.config.num_banks
            opened.read(np.arange(banks, dtype=np.uint64) * np.uint64(2**64 // banks))
            opened.token_counts()
            opened.verify()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < ROOM, f"{peak:,} bytes"


def never_written(file: h5py.File, name: str, kind: np.dtype) -> None:
    file.create_dataset(name, (HUGE,), kind, chunks=(1 << 16,))


def far_too_long(file: h5py.File, name: str, kind: np.dtype) -> None:
    file.create_dataset(name, (HUGE,), kind)


def wide(file: h5py.File, name: str, kind: np.dtype) -> None:
    file.create_dataset(name, (1 << 20, 1 << 20), kind, chunks=(1 << 10, 1))


def empty(file: h5py.File, name: str, kind: np.dtype) -> None:
    file.create_dataset(name, (0,), kind)


def of_text(file: h5py.File, name: str, kind: np.dtype) -> None:
    file[name] = np.array([b"words"] * 4)


def a_group(file: h5py.File, name: str, kind: np.dtype) -> None:
    file.create_group(name)


def missing(file: h5py.File, name: str, kind: np.dtype) -> None:
    pass


def elsewhere(file: h5py.File, name: str, kind: np.dtype) -> None:
    file[name] = h5py.ExternalLink("/dev/zero", "/")


def of_one_number(file: h5py.File, name: str, kind: np.dtype) -> None:
    file[name] = np.zeros((), kind)


STANDS_FOR = [of_one_number, never_written, far_too_long, wide, empty, of_text, a_group, missing, elsewhere]
Replaces = Callable[[h5py.File, str, np.dtype], None]


def test_a_memory_that_is_only_written_again_is_read(memory: Path) -> None:
    with altered(memory):
        pass
    read_all(memory)


@pytest.mark.parametrize("stands_for", STANDS_FOR)
@pytest.mark.parametrize("name", WORKING)
def test_another_dataset_in_its_place_is_refused(memory: Path, name: str, stands_for: Replaces) -> None:
    with altered(memory) as file:
        kind = file[name].dtype
        assert file[name].size
        del file[name]
        stands_for(file, name, kind)
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(memory)


@pytest.mark.parametrize("stands_for", [never_written, far_too_long, wide])
@pytest.mark.parametrize("name", RECORDS)
def test_more_batch_ids_than_bytes_are_refused(memory: Path, name: str, stands_for: Replaces) -> None:
    with altered(memory) as file:
        kind = file[name].dtype
        del file[name]
        stands_for(file, name, kind)
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(memory)


@pytest.mark.parametrize("bits", [1, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stands_for", STANDS_FOR)
@pytest.mark.parametrize("name", PUBLISHED)
def test_so_it_is_where_it_is_published(
    memory: Path, tmp_path: Path, name: str, stands_for: Replaces, bits: int
) -> None:
    publish(memory, tmp_path / "p.memo", bits)
    with altered(tmp_path / "p.memo") as file:
        kind = file[name].dtype
        del file[name]
        stands_for(file, name, kind)
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(tmp_path / "p.memo")


@pytest.mark.parametrize("stands_for", STANDS_FOR)
def test_so_it_is_without_a_ledger(tmp_path: Path, stands_for: Replaces) -> None:
    made = Memory(PaperConfig.of(300, 64))
    made.memorize("a", list(range(300)))
    made.save(tmp_path / "m.memo")
    with altered(tmp_path / "m.memo") as file:
        del file["cells"]
        stands_for(file, "cells", np.dtype("<f4"))
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(tmp_path / "m.memo")


@pytest.mark.parametrize("value", [1, 2**31, 2**40, pytest.param(2**62, marks=pytest.mark.slow), 2**63, 2**64 - 1])
@pytest.mark.parametrize("at", [0, 1, -1])
@pytest.mark.parametrize(
    "name",
    [
        "cells/low_bounds",
        "cells/rest_bounds",
        "ledger/next/rows",
        "ledger/next/token_bounds",
        "ledger/next/more_rows",
        "ledger/document/more_bounds",
    ],
)
def test_offsets_that_lead_elsewhere_are_refused(memory: Path, name: str, at: int, value: int) -> None:
    with altered(memory) as file:
        file[name][at] = np.uint64(value)
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(memory)


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("banks", [4, 1 << 24, 1 << 30])
def test_more_banks_than_the_file_has_are_refused(memory: Path, banks: int, stated: bool) -> None:
    with altered(memory) as file:
        config = replace(TEXT, num_banks=banks)
        if stated:
            del file["bank_digests"]
            file.create_dataset("bank_digests", (banks, 3, 16), np.uint8)  # never written, so not in the file
        file.attrs["stop_bank"], file.attrs["config"] = banks, np.bytes_(config.fingerprint)
    old = Manifest.read(memory)
    replace(old, config=config, shards=[replace(old.shards[0], stop_bank=banks)]).write(memory)
    with pytest.raises(DamagedMemoryError, match=shard_file(0)):
        read_all(memory)


@pytest.mark.parametrize("name", [*CELLS, *LEDGER[: len(COLUMNS)], *SLOW])
def test_any_bits_of_cells_and_ledger_are_refused(memory: Path, name: str) -> None:
    """Digests of banks cannot be made to fit without unpacking; what they do not say must be refused before."""
    path, manifest, rng = memory / shard_file(0), Manifest.read(memory), np.random.default_rng(0)
    whole = path.read_bytes()
    for turn in range(20):
        with altered(memory) as file:
            values = file[name][:]
            octets = values.view(np.uint8).reshape(-1)
            start = int(rng.integers(len(octets)))
            octets[start : start + (1 if turn % 2 else 9)] ^= np.uint8(1 + rng.integers(255))
            file[name][...] = values
        try:
            with open_memory(memory) as opened:
                held = opened.require_working()
                for shard in held.files:
                    shard.entries(shard.banks)
                    shard.anchors(shard.banks)
                    for bank in shard.banks:
                        shard.cells(bank)
            changed = False
        except DamagedMemoryError as error:
            assert path.name in str(error)  # noqa: PT017  # bits behind the last row say nothing, and are no damage
            changed = True
        assert changed or name in LEDGER
        path.write_bytes(whole)
        manifest.write(memory)
    read_all(memory)
