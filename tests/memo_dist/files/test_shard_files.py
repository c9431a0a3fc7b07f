"""Files: what is written is what was there, and nothing damaged is ever read as good."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from memo_dist import Memory, MemoryConfig, TextConfig
from memo_dist.errors import DamagedMemoryError, MemoError, OutputExistsError, StorageError
from memo_dist.files.format import shard_file
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.shard import Shard

PACKED = ("cells/low", "cells/forms", *(f"ledger/next/{name}" for name in ("uppers", "lowers", "tokens", "more")))
CONFIG = TextConfig(num_banks=5, vocab_size=500, inner_dim=64)
Documents = dict[str, list[int]]


def built(documents: Documents, config: MemoryConfig = CONFIG) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


@pytest.fixture
def saved(documents: Documents, tmp_path: Path) -> Path:
    built(documents).save(tmp_path / "m.memo")
    return tmp_path / "m.memo"


def save_in_shards(memory: Memory, path: Path, edges: list[int]) -> None:
    """Write a memory as several shard files."""
    parts = []
    with staged_output(path) as staging:
        for index, (start, stop) in enumerate(itertools.pairwise(edges)):
            shard = Shard(memory.config, range(start, stop))
            memory.save(staging / "whole")
            with open_memory(staging / "whole") as stored:
                stored.require_working().files[0].load_into(shard)
            shutil.rmtree(staging / "whole")
            parts.append(write_shard(shard, staging / shard_file(index)))
        write_contents(staging, memory.config, None, shards=parts, tokens=1, documents=1, sources=[])


def test_round_trip_keeps_every_bit_and_goes_on(documents: Documents, saved: Path) -> None:
    memory, loaded = built(documents), Memory.open(saved)
    assert loaded.digest() == memory.digest() == Manifest.read(saved).digest
    for name in list(documents)[:10]:
        loaded.forget(name, documents[name])
    fewer = built(dict(list(documents.items())[10:]))
    assert loaded.digest() == fewer.digest()
    assert np.array_equal(loaded.shard.contents.matrices.cells, fewer.shard.contents.matrices.cells)
    assert np.array_equal(loaded.shard.contents.matrices.loads, fewer.shard.contents.matrices.loads)


def test_any_division_into_shards_is_the_same_memory(documents: Documents, tmp_path: Path) -> None:
    memory = built(documents)
    for index, edges in enumerate([[0, 5], [0, 2, 5], [0, 1, 2, 5]]):
        path = tmp_path / f"{index}.memo"
        save_in_shards(memory, path, edges)
        assert Manifest.read(path).digest == memory.digest()
        assert Memory.open(path).digest() == memory.digest()
        with open_memory(path) as stored:
            stored.verify()
            hashes = np.random.default_rng(0).integers(0, 2**64, 100, dtype=np.uint64)
            assert np.array_equal(stored.read(hashes), memory.read(hashes))


def test_stored_reads_equal_memory_reads(documents: Documents, saved: Path) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)
    with open_memory(saved, cache_bytes=2 * CONFIG.bank_bytes) as stored:
        assert np.array_equal(stored.read(hashes), built(documents).read(hashes))


def assert_refused(path: Path, named: str) -> None:
    """verify, open and a full read must all refuse the memory and name what is wrong with it."""

    def read_everything() -> None:
        with open_memory(path) as stored:
            stored.read(np.arange(CONFIG.num_banks, dtype=np.uint64) * np.uint64(2**64 // CONFIG.num_banks))
            stored.verify()

    for act in (read_everything, lambda: Memory.open(path) and read_everything()):
        with pytest.raises(DamagedMemoryError, match=named):
            act()


def test_a_flipped_byte_anywhere_is_found(saved: Path) -> None:
    shard = saved / shard_file(0)
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 8, 40, *rng.integers(0, len(whole), 60).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        shard.write_bytes(bytes(damaged))
        assert_refused(saved, shard.name)
    shard.write_bytes(whole)
    with open_memory(saved) as stored:
        stored.verify()


def test_loading_finds_damage_in_cells_and_ledger(saved: Path) -> None:
    """Without the whole-file checksum: the digests of banks and ledgers alone."""
    shard = saved / shard_file(0)
    whole = shard.read_bytes()
    for name in PACKED:
        with h5py.File(shard, "r+") as file:
            first = (0,) * file[name].ndim
            file[name][first] = file[name][first] ^ 1
        with pytest.raises(DamagedMemoryError, match=shard.name):
            Memory.open(saved)
        shard.write_bytes(whole)


def test_a_truncated_file_is_refused(saved: Path) -> None:
    shard = saved / shard_file(0)
    whole = shard.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        shard.write_bytes(whole[:length])
        assert_refused(saved, "bytes; the manifest says")


def test_foreign_and_missing_files_are_refused(documents: Documents, saved: Path, tmp_path: Path) -> None:
    shard = saved / shard_file(0)
    size = shard.stat().st_size
    other = dict(list(documents.items())[:-1])
    built(other, TextConfig(num_banks=5, vocab_size=500, inner_dim=64, seed=3)).save(tmp_path / "other.memo")
    foreign = (tmp_path / "other.memo" / shard_file(0)).read_bytes()
    shard.write_bytes(foreign)
    assert_refused(saved, shard.name)
    shard.write_bytes((foreign + bytes(size))[:size])
    assert_refused(saved, shard.name)
    shard.write_bytes(bytes(size))
    assert_refused(saved, shard.name)
    shard.unlink()
    assert_refused(saved, "is missing")


def test_an_altered_manifest_is_refused(saved: Path) -> None:
    path = saved / "manifest.json"
    text = path.read_text()
    body = json.loads(text)
    for change in (
        text.replace('"documents": 30', '"documents": 31'),
        text[: len(text) // 2],
        "[]",
        json.dumps({**body, "version": 99}),
        json.dumps({**body, "type": "something else"}),
        text.replace('"stop_bank": 5', '"stop_bank": 4'),
    ):
        assert change != text
        path.write_text(change)
        assert_refused(saved, "manifest.json")
    path.unlink()
    assert_refused(saved, "no manifest.json")


def test_shards_that_do_not_give_the_memorys_digest_are_refused(saved: Path) -> None:
    """A manifest that is whole in itself, and shards that are, but not of the same memory."""
    replace(Manifest.read(saved), digest="0" * 32).write(saved)
    with pytest.raises(DamagedMemoryError, match="do not give the digest"):
        open_memory(saved)


def test_a_shard_of_another_memory_is_refused_when_it_is_opened(documents: Documents, tmp_path: Path) -> None:
    """Same config, same size on disk, other documents: only what the manifest says of digests tells them apart."""
    names = list(documents)
    changed = {**documents, names[0]: [(token + 1) % 500 for token in documents[names[0]]]}
    config = TextConfig(num_banks=5, vocab_size=500, inner_dim=64, windows=(4,))
    for name, content in (("a", {"x": documents[names[0]]}), ("b", {"x": changed[names[0]]})):
        save_in_shards(built(content, config), tmp_path / name, [0, 2, 5])
    record = Manifest.read(tmp_path / "a").shards[1]
    shutil.copy(tmp_path / "b" / shard_file(1), tmp_path / "a" / shard_file(1))
    found = (tmp_path / "a" / shard_file(1)).stat().st_size
    replaced = replace(record, bytes=found)
    manifest = Manifest.read(tmp_path / "a")
    replace(manifest, shards=[manifest.shards[0], replaced]).write(tmp_path / "a")
    with pytest.raises(DamagedMemoryError, match=r"shard-00001\.h5 has other bank digests"):
        open_memory(tmp_path / "a")


def test_swapped_batch_ids_are_refused(saved: Path) -> None:
    memory = Memory.open(saved)
    memory.shard.applied = {"ab" * 16}
    memory.save(saved.with_name("n.memo"))
    shard = saved.with_name("n.memo") / shard_file(0)
    with h5py.File(shard, "r+") as file:
        file["applied"][0] = file["applied"][0] + 1
    with open_memory(shard.parent) as stored, pytest.raises(DamagedMemoryError, match="batch ids do not match"):
        stored.require_working().applied()


def test_an_existing_output_is_never_touched(documents: Documents, saved: Path) -> None:
    digest = Manifest.read(saved).digest
    with pytest.raises(OutputExistsError, match=r"m\.memo exists"):
        built(dict(list(documents.items())[:3])).save(saved)
    assert Manifest.read(saved).digest == digest


def test_saving_leaves_the_checkpoint_of_a_stopped_build_alone(documents: Documents, tmp_path: Path) -> None:
    workspace = tmp_path / ".m.memo.building"
    workspace.mkdir()
    (workspace / "shard").write_text("hours of work")
    built(documents).save(tmp_path / "m.memo")
    assert (workspace / "shard").read_text() == "hours of work"


def test_a_failed_save_leaves_nothing(documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Manifest, directory: Path) -> None:
        raise StorageError("no")

    monkeypatch.setattr(Manifest, "write", fail)
    with pytest.raises(StorageError):
        built(documents).save(tmp_path / "m.memo")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    memory = Memory(TextConfig(num_banks=200, vocab_size=500, inner_dim=64))
    memory.memorize("a", np.random.default_rng(0).integers(0, 500, 20_000))
    with pytest.raises(StorageError, match="the disk is full") as caught:
        memory.save(small_disk / "m.memo")
    assert isinstance(caught.value, MemoError)
    assert list(small_disk.iterdir()) == []
