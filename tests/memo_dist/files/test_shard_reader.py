"""ShardReader: bounds and groups of banks against counting them, one shard's share of another, foreign rows.

Covers: reading a shard file bank by bank. Does not cover: damaged bytes (test_shard_files.py, test_corruption.py).
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from reference import ReferenceMemory

from memo_dist import TextConfig
from memo_dist.errors import DamagedMemoryError
from memo_dist.files import shard_reader
from memo_dist.files.shard_reader import ShardReader
from memo_dist.files.shard_writer import write_shard
from memo_dist.segments import Segment
from memo_dist.shard import Shard

CONFIG = TextConfig(num_banks=12, vocab_size=30, inner_dim=64)
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
    reference = ReferenceMemory(12, 30, 64)
    reference.memorize(TOKENS)
    return Counter(reference.bank(name) for name, _ in reference.counts)


def test_bounds_are_where_each_bank_begins(file: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = true_loads()
    expected = [sum(loads[bank] for bank in range(BANKS.start, edge)) for edge in range(BANKS.start, BANKS.stop + 1)]
    monkeypatch.setattr(shard_reader, "_ROWS", 7)  # names are read some at a time
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
    reference = ReferenceMemory(12, 30, 64)
    reference.memorize(TOKENS)
    for banks in (BANKS, range(3, 4), range(5, 9), range(9, 10), range(4, 4)):
        found = file.entries(banks)
        rows = zip(found.associations.hashes.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True)
        truth = {pair: count for pair, count in reference.counts.items() if reference.bank(pair[0]) in banks}
        assert {(name, token): count for name, token, count in rows} == truth
        assert (np.diff(found.names.astype(object)) > 0).all()


def test_cells_are_those_of_the_bank_asked(file: ShardReader) -> None:
    reference = ReferenceMemory(12, 30, 64)
    reference.memorize(TOKENS)
    truth = reference.matrices()
    for bank in BANKS:
        assert np.array_equal(file.cells(bank), truth[bank])


@pytest.mark.parametrize("rows", [1, 50, 10_000])
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


def test_rows_of_other_banks_are_refused(file: ShardReader) -> None:
    path = file.path
    file.close()
    with h5py.File(path, "r+") as opened:
        names = opened["ledger"]["names"]
        names[len(names) - 1] = np.uint64(2**64 - 1)  # of bank 11
    again = ShardReader(path, file.record, CONFIG, tokenizer_hash="")
    with pytest.raises(DamagedMemoryError, match=r"shard\.h5: the ledger has rows of other banks"):
        _ = again.bounds
    again.close()
