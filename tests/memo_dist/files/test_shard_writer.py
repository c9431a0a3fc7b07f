"""ShardWriter: banks in any pieces are one file, and whatever fails on the way leaves nothing behind.

Covers: shard_writer.py. Does not cover: what of a file is read (test_shard_files.py, test_shard_reader.py), where banks
come from (runs/test_merging.py).
"""

from pathlib import Path

import h5py
import numpy as np
import pytest

from memo_dist import Memory, PaperConfig, TextConfig
from memo_dist.documents import table_of
from memo_dist.errors import StorageError
from memo_dist.files import shard_writer
from memo_dist.files.format import documents_file, shard_file
from memo_dist.files.manifest import ShardRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import ShardWriter, write_shard
from memo_dist.files.staging import write_contents
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.ledger import NO_ENTRIES, Entries

TEXT = TextConfig(num_banks=6, vocab_size=500, inner_dim=64)
PAPER = PaperConfig.of(500, 64, num_heads=6, num_layers=1, key_dim=66)
FILE = shard_file(0)


@pytest.fixture(scope="module", params=[TEXT, PAPER], ids=["text", "paper"])
def memory(request: pytest.FixtureRequest, documents: dict[str, list[int]]) -> Memory:
    made = Memory(request.param)
    for name, tokens in documents.items():
        made.memorize(name, tokens)
    return made


@pytest.fixture(scope="module")
def text(documents: dict[str, list[int]]) -> Memory:
    made = Memory(TEXT)
    for name, tokens in documents.items():
        made.memorize(name, tokens)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def sizes(memory: Memory) -> dict[str, int]:
    held = memory.shard.contents.with_ledger
    return {"rows": 0, "anchors": 0} if held is None else {"rows": len(held.ledger), "anchors": held.num_anchors}


def opened(memory: Memory, place: Path, **others: int) -> ShardWriter:
    banks = range(memory.config.num_banks)
    return ShardWriter(place / FILE, memory.config, "", banks=banks, **{**sizes(memory), **others})


def cells_of(memory: Memory, banks: range) -> np.ndarray:
    return np.asarray(memory.shard.contents.read_banks(banks.start, banks.stop))


def held_in(memory: Memory, banks: range) -> tuple[Entries, Entries]:
    held, config = memory.shard.contents.with_ledger, memory.config
    if held is None:
        return NO_ENTRIES, NO_ENTRIES
    return held.between(bank_edge(banks.start, config.num_banks), bank_edge(banks.stop, config.num_banks))


def put(writer: ShardWriter, memory: Memory, banks: range) -> None:
    following, anchors = held_in(memory, banks)
    writer.put(banks, cells_of(memory, banks), following=following, anchors=anchors)


def finish(writer: ShardWriter, memory: Memory) -> tuple[ShardRecord, np.ndarray]:
    table = memory.shard.registry.table()
    return writer.finish(table, {"ab" * 16}, associations=memory.num_associations)


@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_banks_in_any_pieces_are_one_file(memory: Memory, place: Path, step: int) -> None:
    """The same bytes as from a shard in memory but for the batches, of which that knows none."""
    truth, digests = write_shard(memory.shard, place / "truth.h5")
    banks = range(memory.config.num_banks)
    with opened(memory, place) as writer:
        for first in range(0, len(banks), step):
            put(writer, memory, banks[first : first + step])
        record, found = finish(writer, memory)
    assert np.array_equal(found, digests)
    assert np.array_equal(found, memory.shard.bank_digests())
    assert (record.digests, record.token_counts) == (truth.digests, truth.token_counts)
    assert record.associations == truth.associations == memory.num_associations
    assert (record.first_bank, record.stop_bank) == (0, 6)
    assert record.bytes == (place / FILE).stat().st_size
    assert sorted(path.name for path in place.iterdir()) == sorted(
        [FILE, documents_file(FILE), "truth.h5", documents_file("truth.h5")]
    )
    with h5py.File(place / FILE) as one, h5py.File(place / "truth.h5") as other:
        assert one["applied"][:].tolist() == [[0xAB] * 16]
        names: list[str] = []
        other.visit(names.append)
        for name in names:
            if isinstance(other[name], h5py.Dataset) and name != "applied":
                assert np.array_equal(one[name][:], other[name][:]), name


def test_names_at_the_edge_of_a_bank_are_found_from_any_name_on(place: Path) -> None:
    """Whether a name is asked for from itself on, from below or from above; only its upper half says its bank."""
    name = bank_edge(1, TEXT.num_banks) - 10
    assert (int(bank_of(np.array([name], np.uint64), TEXT.num_banks)[0]), name * TEXT.num_banks >> 64) == (0, 1)
    one = Entries(np.array([name], np.uint64), np.array([7], np.uint32), np.array([1], np.uint32))
    cells = np.zeros((1, TEXT.inner_dim, TEXT.inner_dim), np.int16)
    with ShardWriter(place / FILE, TEXT, "", banks=range(TEXT.num_banks), rows=1, anchors=0) as writer:
        for bank in range(TEXT.num_banks):
            following = NO_ENTRIES if bank else one
            writer.put(range(bank, bank + 1), cells, following=following, anchors=NO_ENTRIES)
        written = writer.finish(table_of([]), set(), associations=1)
    write_contents(place, TEXT, None, shards=[written], tokens=1, documents=0, sources=[])
    with open_memory(place) as stored:
        shards = stored.require_working()
        for low, high, found in ((0, 2**64, 1), (name, 2**64, 1), (name, name + 1, 1), (name + 1, 2**64, 0)):
            assert sum(len(entries) for entries, _ in shards.entries_between(low, high)) == found


def assert_nothing_is_left(place: Path) -> None:
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("step", [0, 1, 3, 6])
@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_failure_between_banks_leaves_nothing(
    memory: Memory, place: Path, step: int, fault: type[BaseException]
) -> None:
    def write() -> None:
        with opened(memory, place) as writer:
            if step:
                put(writer, memory, range(step))
            raise fault

    with pytest.raises(fault):
        write()
    assert_nothing_is_left(place)


NAMES = [
    *(f"{writer}.{method}" for writer in ("CellsWriter", "LedgerWriter") for method in ("__init__", "close")),
    *("CellsWriter.put", "LedgerWriter.append"),
    *("write_attributes", "write_documents", "write_applied", "file_digest", "sync_directory"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [OSError("the disk is gone"), KeyboardInterrupt(), RuntimeError("HDF5 failed")])
def test_a_failure_anywhere_leaves_nothing(
    text: Memory, place: Path, name: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    owner, _, method = name.rpartition(".")
    monkeypatch.setattr(getattr(shard_writer, owner) if owner else shard_writer, method, fail)
    with pytest.raises((StorageError, type(fault))):
        write_shard(text.shard, place / FILE)
    monkeypatch.undo()
    assert_nothing_is_left(place)
    write_shard(text.shard, place / FILE)  # and a second attempt is as if it were the first


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    memory = Memory(TextConfig(num_banks=400, vocab_size=500, inner_dim=64))
    memory.memorize("a", np.random.default_rng(0).integers(0, 500, 60_000))
    with pytest.raises(StorageError, match="the disk is full"):
        write_shard(memory.shard, small_disk / FILE)
    assert_nothing_is_left(small_disk)


def test_a_full_disk_is_told_before_all_banks_were_made(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, banks = TextConfig(num_banks=400, vocab_size=500, inner_dim=64), 0
    cells = np.random.default_rng(0).integers(-(2**15), 2**15, (1, 64, 64)).astype(np.int16)  # two bytes a cell

    def write() -> None:
        nonlocal banks
        with ShardWriter(small_disk / FILE, config, "", banks=range(400), rows=0, anchors=0) as writer:
            for banks in range(400):
                writer.put(range(banks, banks + 1), cells, following=NO_ENTRIES, anchors=NO_ENTRIES)

    monkeypatch.setattr("memo_dist.files.pieces._PIECE", 1 << 16)
    with pytest.raises(StorageError, match="the disk is full"):
        write()
    assert 100 < banks < 200
    assert_nothing_is_left(small_disk)


@pytest.mark.parametrize("more", [-1, 1, -300, 10_000])
@pytest.mark.parametrize("kind", ["rows", "anchors"])
def test_other_numbers_of_rows_than_were_said_are_refused(text: Memory, place: Path, kind: str, more: int) -> None:
    """The layout of a ledger follows from its number of rows."""
    said = max(0, sizes(text)[kind] + more)

    def write() -> None:
        with opened(text, place, **{kind: said}) as writer:
            put(writer, text, range(6))
            finish(writer, text)

    with pytest.raises(ValueError, match=r"more rows, or anchors, than was said|rows; expected"):
        write()
    assert_nothing_is_left(place)


@pytest.mark.parametrize(
    "pieces",
    [[], [range(3)], [range(1, 6)], [range(3), range(4, 6)], [range(3), range(2, 6)], [range(6), range(5, 6)]],
    ids=["none", "the first", "not the first", "a gap", "twice", "more"],
)
def test_banks_that_are_missing_or_out_of_order_are_refused(memory: Memory, place: Path, pieces: list[range]) -> None:
    def write() -> None:
        with opened(memory, place) as writer:
            for banks in pieces:
                put(writer, memory, banks)
            finish(writer, memory)

    with pytest.raises(ValueError, match="expected"):
        write()
    assert_nothing_is_left(place)


def test_cells_of_other_banks_are_refused(memory: Memory, place: Path) -> None:
    def write() -> None:
        with opened(memory, place) as writer:
            writer.put(range(6), cells_of(memory, range(5)), following=NO_ENTRIES, anchors=NO_ENTRIES)

    with pytest.raises(ValueError, match="got 5 banks"):
        write()
    assert_nothing_is_left(place)
