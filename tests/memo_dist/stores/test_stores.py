"""Out of core: banks, ledger and pending associations in scratch files give the same bits as in memory.

Covers: shards with a scratch directory, the pieces of pending associations, a full disk. Does not cover: the stores by
themselves (contracts/), planning (test_plan.py), whole builds under a budget (test_cluster.py).
"""

import gc
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import Memory, TextConfig
from memo_dist.errors import NotMemorizedError, StorageError
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text import contents as hashed
from memo_dist.models.text.associations import Associations
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from memo_dist.stores import banks as bank_stores
from memo_dist.stores.banks import HostBanks, ResidentBanks
from memo_dist.stores.pending import FilePending

CONFIG = TextConfig(num_banks=7, vocab_size=50, inner_dim=64)
NOTHING = np.zeros(0, np.uint32)


def segment(tokens: list[int]) -> Segment:
    return Segment(0, NOTHING, np.array(tokens, np.uint32), True)


def documents(seed: int, count: int) -> dict[str, list[int]]:
    """Documents with shared passages."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, 50, 30).tolist()
    return {
        f"{seed}-{n}": rng.integers(0, 50, int(rng.integers(1, 60))).tolist() + shared * int(rng.integers(2))
        for n in range(count)
    }


def filled(texts: dict[str, list[int]], scratch: Path | None, banks: range = range(7), buffer: int = 100) -> Shard:
    shard = Shard(CONFIG, banks, room=ShardRoom(buffer=buffer, expected=4000, scratch=scratch))
    for name, tokens in texts.items():
        shard.memorize_segments([(name, segment(tokens))])
    return shard


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 300), st.integers(1, 400), st.booleans())
@pytest.mark.slow
def test_a_shard_in_files_has_the_bits_of_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, buffer: int, part: int, forget: bool
) -> None:
    texts = documents(seed, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed, "FILE_PART_ENTRIES", part)
        patch.setattr(hashed, "PENDING_ROW", 7 * CONFIG.bank_bytes)  # full after 4 * buffer
        ours = filled(texts, tmp_path_factory.mktemp("scratch"), buffer=buffer)
        theirs = filled(texts, None)
        for shard in (ours, theirs) if forget else ():
            for name, tokens in itertools.islice(texts.items(), count // 2):
                shard.forget_segments([(name, segment(tokens))])
        assert np.array_equal(ours.bank_digests(), theirs.bank_digests())
        assert ours.num_associations == theirs.num_associations
        cues = np.random.default_rng(seed).integers(0, 2**64, 20, dtype=np.uint64)
        assert np.array_equal(ours.retrieve(cues), theirs.retrieve(cues))


def test_files_are_written_read_and_merged_as_memory_is(tmp_path: Path) -> None:
    first, second = documents(1, 8), documents(2, 8)
    memory = Memory(CONFIG)
    for name, tokens in {**first, **second}.items():
        memory.memorize(name, tokens)
    memory.save(tmp_path / "both.memo")
    one = Memory(CONFIG)
    for name, tokens in first.items():
        one.memorize(name, tokens)
    one.save(tmp_path / "one.memo")
    shard = Shard(CONFIG, range(7), room=ShardRoom(buffer=50, expected=2000, scratch=tmp_path / "scratch"))
    with open_memory(tmp_path / "one.memo") as stored:
        stored.require_working().files[0].load_into(shard)
    assert np.array_equal(shard.bank_digests(), one.shard.bank_digests())
    for name, tokens in second.items():
        shard.memorize_segments([(name, segment(tokens))])
    ours, _ = write_shard(shard, tmp_path / "shard.h5")
    with open_memory(tmp_path / "both.memo") as stored:
        theirs = stored.manifest.shards[0]
        assert (ours.digests, ours.records, ours.associations) == (theirs.digests, theirs.records, theirs.associations)
        fresh = Shard(CONFIG, range(2, 5), room=ShardRoom(scratch=tmp_path / "scratch"))
        stored.require_working().files[0].add_into(fresh)
    assert np.array_equal(fresh.bank_digests(), memory.shard.bank_digests()[2:5])


def test_forgetting_what_is_not_held_is_refused(tmp_path: Path) -> None:
    shard = filled(documents(1, 3), tmp_path)
    shard.forget_segments([("stranger", segment([1, 2, 3, 4, 5]))])
    with pytest.raises(NotMemorizedError):
        shard.flush()


def test_banks_too_large_for_a_device_stay_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_stores, "room_on_device", lambda xp: 1000)
    assert isinstance(bank_stores.bank_store((5, 10, 10), "int16"), ResidentBanks)
    assert isinstance(bank_stores.bank_store((6, 10, 10), "int16"), HostBanks)


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_pending_comes_back_part_by_part_and_memorized_first(tmp_path: Path, piece: int) -> None:
    rng = np.random.default_rng(0)
    edges = [100, 200, 1000]
    pending = FilePending(tmp_path, edges, piece=piece, limit=500)
    given_in: dict[int, list[tuple[int, int]]] = {1: [], -1: []}
    for _ in range(20):
        names, tokens = rng.integers(0, 1200, 30).astype(np.uint64), rng.integers(0, 9, 30).astype(np.uint32)
        sign = int(rng.choice([1, -1]))
        pending.add(Associations(names, tokens), sign)
        given_in[sign] += zip(names.tolist(), tokens.tolist(), strict=True)
    assert pending.full
    seen: dict[int, list[tuple[int, int]]] = {1: [], -1: []}
    order = []
    for sign, found in pending.take():
        assert 0 < len(found) <= piece
        parts = {int(np.searchsorted(edges, name, side="right")) for name in found.names}
        assert len(parts) == 1
        order.append((*parts, -sign))
        seen[sign] += zip(found.names.tolist(), found.tokens.tolist(), strict=True)
    assert order == sorted(order)
    assert {sign: sorted(rows) for sign, rows in seen.items()} == {s: sorted(r) for s, r in given_in.items()}
    assert not pending.full
    assert list(pending.take()) == []


def test_a_full_scratch_disk_is_told(small_disk: Path) -> None:
    def memorize() -> None:
        shard = Shard(
            TextConfig(num_banks=400, vocab_size=500, inner_dim=64), range(400), room=ShardRoom(scratch=small_disk)
        )
        shard.memorize_segments([("a", segment(np.random.default_rng(0).integers(0, 500, 60_000).tolist()))])

    with pytest.raises(StorageError, match="the disk is full"):
        memorize()
    gc.collect()  # the traceback holds the shard, and that the file
    assert list(small_disk.iterdir()) == []
