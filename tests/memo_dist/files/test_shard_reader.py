"""ShardReader: bounds, groups of banks and token counts against counting them, one shard's share of another.

Covers: reading a shard file bank by bank. Does not cover: damaged bytes (test_shard_files.py, test_corruption.py).
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from plain_format import PlainShard
from reference import ReferenceMemory

from memo_dist import TextConfig
from memo_dist.document_parts import document_key
from memo_dist.errors import DamagedMemoryError
from memo_dist.files import shard_reader
from memo_dist.files.shard_reader import ShardReader
from memo_dist.files.shard_writer import write_shard
from memo_dist.segments import Segment
from memo_dist.shard import Shard

CONFIG = TextConfig(num_banks=12, vocab_size=30, inner_dim=64, windows=(4, 16, 64))
BANKS = range(3, 10)  # of 12: a shard in the middle of a memory
TOKENS = np.random.default_rng(0).integers(0, 30, 150).tolist()


def shard_of(banks: range) -> Shard:
    shard = Shard(CONFIG, banks)
    segment = Segment(start=0, context=np.zeros(0, np.uint32), tokens=np.array(TOKENS, np.uint32), ends=True)
    shard.memorize_segments([("text", segment)])
    return shard


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ShardReader]:
    record, _ = write_shard(shard_of(BANKS), tmp_path / "shard.h5")
    opened = ShardReader(tmp_path / "shard.h5", record, CONFIG, tokenizer_hash="")
    yield opened
    opened.close()


def true_loads() -> Counter[int]:
    """Distinct associations of every bank, by the equations."""
    reference = ReferenceMemory(12, 30)
    reference.memorize(TOKENS)
    return Counter(reference.bank(name) for name, _ in reference.counts)


def test_bounds_are_where_each_bank_begins(file: ShardReader) -> None:
    loads = true_loads()
    expected = [sum(loads[bank] for bank in range(BANKS.start, edge)) for edge in range(BANKS.start, BANKS.stop + 1)]
    assert file.bounds == expected
    assert expected[-1] > 100


@pytest.mark.parametrize("rows", [1, 10, 40, 90, 10_000])
@pytest.mark.parametrize("asked", [range(12), BANKS, range(5), range(7, 12), range(4, 6), range(2), range(10, 12)])
def test_groups_are_the_banks_that_are_here_in_pieces_that_fit(
    file: ShardReader, rows: int, asked: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_reader, "_ROWS", rows)
    loads, groups = true_loads(), list(file.groups(asked))
    assert [bank for group in groups for bank in group] == sorted(set(asked) & set(BANKS))
    for group in groups:
        assert len(group) == 1 or sum(loads[bank] for bank in group) <= rows
    for one, two in itertools.pairwise(groups):  # no smaller than they must be
        assert sum(loads[bank] for bank in [*one, two[0]]) > rows


def test_entries_are_those_of_the_banks_asked(file: ShardReader) -> None:
    reference = ReferenceMemory(12, 30)
    reference.memorize(TOKENS)
    for banks in (BANKS, range(3, 4), range(5, 9), range(9, 10), range(4, 4)):
        found = file.entries(banks)
        rows = zip(found.associations.hashes.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True)
        truth = {pair: count for pair, count in reference.counts.items() if reference.bank(pair[0]) in banks}
        assert {(name, token): count for name, token, count in rows} == truth
        assert (np.diff(found.names.astype(object)) > 0).all()


def test_a_bank_asked_again_is_the_same_and_is_checked_once(file: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    digests: list[int] = []
    assert file._ledger is not None
    check = file._ledger._check
    monkeypatch.setattr(file._ledger, "_check", lambda bank, held: (digests.append(bank), check(bank, held)))
    for bank in (*BANKS, *reversed(BANKS)):
        found, truth = file.bank_entries(bank), file.entries(range(bank, bank + 1))
        for name in ("names", "tokens", "counts"):
            assert np.array_equal(getattr(found, name), getattr(truth, name))
    assert sum(digests) == 3 * sum(BANKS)  # one each, beside the two of `entries`


def test_a_bank_whose_digest_is_another_is_refused_each_time(file: ShardReader) -> None:
    file.digests[2, 1] ^= 1
    for _ in range(2):
        with pytest.raises(DamagedMemoryError, match=r"the ledger of bank 5 \(ledger/next\) does not match its digest"):
            file.bank_entries(5)
    assert len(file.bank_entries(4)) == true_loads()[4]


def test_cells_are_those_of_the_bank_asked(file: ShardReader) -> None:
    reference = ReferenceMemory(12, 30)
    reference.memorize(TOKENS)
    truth = reference.matrices()
    for bank in BANKS:
        assert np.array_equal(file.cells(bank), truth[bank])


@pytest.mark.parametrize(
    "rows", [pytest.param(1, marks=pytest.mark.slow), 50, pytest.param(10_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("banks", [BANKS, range(12), range(5, 7), range(2), range(4), range(9, 12)])
def test_a_shard_is_filled_with_its_share(
    file: ShardReader, rows: int, banks: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_reader, "_ROWS", rows)
    shard, whole, empty = Shard(CONFIG, banks), shard_of(range(12)).bank_digests(), Shard(CONFIG, banks).bank_digests()
    file.load_into(shard)
    for row, (bank, digests) in enumerate(zip(banks, shard.bank_digests(), strict=True)):
        assert np.array_equal(digests, whole[bank] if bank in BANKS else empty[row])
    assert shard.num_associations == sum(true_loads()[bank] for bank in set(banks) & set(BANKS))


def test_a_second_reader_finds_the_same(file: ShardReader) -> None:
    """One that is written from docs/reference/format.md alone."""
    plain = PlainShard(file.path, 12, 30)
    rows = plain.ledger("ledger/next", 30)
    for bank, held in zip(BANKS, rows, strict=True):
        assert np.array_equal(plain.cells(bank), file.cells(bank))
        found = file.entries(range(bank, bank + 1))
        assert list(zip(found.names.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True)) == held
    tokens = Counter(token for held in rows for _, token, _ in held)
    assert plain.arrays["token_counts"].tolist() == [tokens[token] for token in range(31)]


def test_token_counts_are_those_of_distinct_associations(file: ShardReader) -> None:
    reference = ReferenceMemory(12, 30)
    reference.memorize(TOKENS)
    truth = Counter(token for name, token in reference.counts if reference.bank(name) in BANKS)
    counts = file.token_counts()
    assert counts is not None
    assert (counts.dtype, counts.tolist()) == (np.uint64, [truth[token] for token in range(31)])
    assert np.array_equal(counts, shard_of(BANKS).token_counts())


def test_token_counts_that_are_not_the_manifests_are_refused(file: ShardReader) -> None:
    path = file.path
    file.close()
    with h5py.File(path, "r+") as opened:
        opened["token_counts"][3] += 1
    again = ShardReader(path, file.record, CONFIG, tokenizer_hash="")
    with pytest.raises(DamagedMemoryError, match=r"shard\.h5: token counts do not match"):
        again.token_counts()
    again.close()


def test_bounds_that_belong_to_other_banks_are_refused(file: ShardReader) -> None:
    path = file.path
    file.close()
    with h5py.File(path, "r+") as opened:
        opened["ledger/next/rows"][1] += 1  # a row of the second bank as one of the first
    again = ShardReader(path, file.record, CONFIG, tokenizer_hash="")
    with pytest.raises(DamagedMemoryError, match=r"shard\.h5: the ledger of bank 3 \(ledger/next\) has not its rows"):
        again.entries(range(3, 4))
    again.close()


def test_another_number_of_associations_than_the_manifest_has_is_refused(file: ShardReader) -> None:
    file.close()
    record = replace(file.record, associations=file.record.associations + 1)
    with pytest.raises(DamagedMemoryError, match=r"shard\.h5 holds .* associations; the manifest says"):
        ShardReader(file.path, record, CONFIG, tokenizer_hash="")


ANCHORED = TextConfig(num_banks=12, vocab_size=30, inner_dim=64, windows=(4, 16))
COLUMNS = ("names", "tokens", "counts")
NAMES = ("one", "two")


def anchored(config: TextConfig, banks: range) -> Shard:
    """Two documents that share a passage."""
    shard, rng = Shard(config, banks), np.random.default_rng(3)
    shared = rng.integers(0, 30, 400, dtype=np.uint32)
    for name in NAMES:
        tokens = np.concatenate([shared, rng.integers(0, 30, 300, dtype=np.uint32)])
        shard.memorize_segments([(name, Segment(0, np.zeros(0, np.uint32), tokens, True))])
    return shard


def anchors_of(shard: Shard) -> list[tuple[int, ...]]:
    assert shard.contents.with_ledger is not None
    parts = list(shard.contents.with_ledger.anchor_entries())
    return [row for part in parts for row in zip(*(getattr(part, name).tolist() for name in COLUMNS), strict=True)]


def test_anchors_are_kept_bank_by_bank_and_found(tmp_path: Path) -> None:
    shard = anchored(ANCHORED, BANKS)
    record, _ = write_shard(shard, tmp_path / "shard.h5")
    file = ShardReader(tmp_path / "shard.h5", record, ANCHORED, tokenizer_hash="")
    truth = anchors_of(shard)
    assert {row[1] for row in truth} == {document_key(name) % 2**32 for name in NAMES}
    assert len(truth) > 40
    plain = PlainShard(file.path, 12, 30).ledger("ledger/document", 2**32 - 1)
    assert [row for held in plain for row in held] == truth
    for bank, held in zip(BANKS, plain, strict=True):
        for found in (file.bank_anchors(bank), file.bank_anchors(bank), file.anchors(range(bank, bank + 1))):
            assert list(zip(*(getattr(found, name).tolist() for name in COLUMNS), strict=True)) == held
    file.close()


def test_anchors_are_loaded_and_added(tmp_path: Path) -> None:
    record, _ = write_shard(anchored(ANCHORED, range(12)), tmp_path / "shard.h5")
    file = ShardReader(tmp_path / "shard.h5", record, ANCHORED, tokenizer_hash="")
    loaded = Shard(ANCHORED, BANKS)
    file.load_into(loaded)
    assert np.array_equal(loaded.bank_digests(), anchored(ANCHORED, BANKS).bank_digests())
    added = Shard(ANCHORED, BANKS)
    file.add_into(added)  # to other numbers of banks ledgers are merged: runs/test_merging.py
    assert anchors_of(added)
    assert np.array_equal(added.bank_digests(), loaded.bank_digests())
    file.close()


def test_anchors_that_do_not_match_their_digest_are_refused(tmp_path: Path) -> None:
    record, _ = write_shard(anchored(ANCHORED, BANKS), tmp_path / "shard.h5")
    with h5py.File(tmp_path / "shard.h5", "r+") as opened:
        opened["ledger/document/lowers"][3] ^= 1
    file = ShardReader(tmp_path / "shard.h5", record, ANCHORED, tokenizer_hash="")
    with pytest.raises(DamagedMemoryError, match=r"shard\.h5: the ledger of bank \d+ \(ledger/document\)"):
        file.anchors(BANKS)
    file.close()
