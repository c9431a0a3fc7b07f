"""Run folders: what a batch gives is there whole or not at all, once, and nothing damaged is read as good.

Covers: run_folder.py. Does not cover: one file of it (test_run_file.py), what runs together give (test_merging.py).
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cut_batches import CONFIG, PASSAGES, batch_of, encoder_of, run_of, segment, whole_batch
from pyarrow import ipc

from memo_dist import Memory, TextConfig
from memo_dist.batches import KeptChange
from memo_dist.document_parts import document_key
from memo_dist.documents import SCHEMA
from memo_dist.errors import DamagedMemoryError, InputError, StorageError, TokenizerError
from memo_dist.models.text import encoder as encoders
from memo_dist.models.text.ledger import Entries
from memo_dist.runs import run_folder
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_folder import RunFolder, make_run, run_folders
from memo_dist.stores.parts import Columns

TOP = 1 << 64
DOCUMENTS = {"a": PASSAGES[0] + PASSAGES[1], "b": PASSAGES[1] + PASSAGES[1], "c": [7], "d": PASSAGES[2] + PASSAGES[3]}
NAME = f"{0:032x}"


def counts(parts: list[Entries] | list[Columns]) -> Counter[tuple[int, int]]:
    total = Counter[tuple[int, int]]()
    for part in parts:
        columns = (part.names, part.tokens, part.counts) if isinstance(part, Entries) else part
        for name, token, count in zip(*(column.tolist() for column in columns), strict=True):
            total[name, token] += count
    return total


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run_of(whole_batch(DOCUMENTS), tmp_path / "runs")
    (found,) = run_folders(tmp_path / "runs")
    return found


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("chunk", [1 << 18, 64])
def test_a_run_is_what_the_batch_gives_a_memory(
    tmp_path: Path, sign: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any number of banks: the memory has five."""
    monkeypatch.setattr(encoders, "_CHUNK", chunk)
    batch, memory = whole_batch(DOCUMENTS), Memory(CONFIG)
    memory.memorize_batch(batch)
    record = run_of(batch, tmp_path, sign=sign)
    (found,) = run_folders(tmp_path)
    held = memory.shard.contents.with_ledger
    assert held is not None
    assert found.record == record
    for parts, truth in ((found.next(0, TOP), held.entries()), (found.anchors(0, TOP), held.anchor_entries())):
        assert counts(parts) == Counter({row: sign * count for row, count in counts(list(truth)).items()})
        assert all(np.array_equal(part.names, np.sort(part.names)) for part in parts)
    assert (record.sign, record.parts) == (sign, len(found.next(0, TOP)))
    assert (record.parts > 1) == (chunk == 64)
    assert record.rows == sum(map(len, found.next(0, TOP)))
    assert record.anchors == sum(map(len, found.anchors(0, TOP))) > 0
    assert (record.tokens, record.documents) == (sum(map(len, DOCUMENTS.values())), len(DOCUMENTS))
    (documents,) = found.documents(0, TOP)
    assert documents.schema == SCHEMA
    assert documents["id"].to_pylist() == sorted(DOCUMENTS, key=document_key)
    assert documents["times"].to_pylist() == [sign] * len(DOCUMENTS)


def test_what_is_said_of_the_batch_is_in_the_record(tmp_path: Path) -> None:
    kept = KeptChange(file="b", bytes=7, blake2b="ab", tokens=3)
    record = run_of(kept.on(whole_batch(DOCUMENTS)), tmp_path)
    assert record.kept == kept
    assert RunFolder(tmp_path / NAME, OpenFiles()).record == record
    pieces = [("long", segment(CONFIG, PASSAGES[0], 20))]
    record = run_of(batch_of(pieces, 1), tmp_path)
    assert (record.documents, record.tokens, record.kept) == (0, 25, None)  # it began in another batch


def test_a_batch_without_documents_has_a_run_that_gives_nothing(tmp_path: Path) -> None:
    """All of its documents were left out, or forgotten."""
    record = run_of(whole_batch({}), tmp_path)
    assert (record.documents, record.tokens, record.rows, record.anchors) == (0, 0, 0, 0)
    (found,) = run_folders(tmp_path)
    assert sum(map(len, found.documents(0, TOP))) == 0
    assert sum(map(len, [*found.next(0, TOP), *found.anchors(0, TOP)])) == 0


def test_made_twice_it_is_one(tmp_path: Path) -> None:
    first = run_of(whole_batch(DOCUMENTS), tmp_path)
    files = {path.name: path.read_bytes() for path in (tmp_path / NAME).iterdir()}
    assert run_of(whole_batch(DOCUMENTS), tmp_path) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / NAME).iterdir()} == files
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("full", [False, True])
def test_another_attempt_may_make_it_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """The other's is there when this one is refused: by the folder that is there, or by a disk that it filled."""
    write_text, made = run_folder.write_text, []

    def late(path: Path, text: str) -> None:
        monkeypatch.setattr(run_folder, "write_text", write_text)
        made.append(run_of(whole_batch(DOCUMENTS), tmp_path))
        if full:
            raise OSError("no space")
        write_text(path, text)

    monkeypatch.setattr(run_folder, "write_text", late)
    assert run_of(whole_batch(DOCUMENTS), tmp_path) == made[0]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_no_folder_has_no_runs(tmp_path: Path) -> None:
    assert run_folders(tmp_path / "none") == []


def test_a_torn_folder_is_ignored(run: RunFolder) -> None:
    """What a process that died was writing."""
    torn = run.path.with_name(f"{1:032x}.abcd.tmp")
    torn.mkdir()
    (torn / "next-00000.arrow").write_bytes(b"ARROW1")
    assert [one.path for one in run_folders(run.path.parent)] == [run.path]


@pytest.mark.parametrize("fault", [OSError("the disk is gone"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(tmp_path: Path, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(run_folder, "_write_documents", fail)
    with pytest.raises(StorageError if isinstance(fault, OSError) else KeyboardInterrupt):
        run_of(whole_batch(DOCUMENTS), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 40, 100_000).tolist()
    with pytest.raises(StorageError, match="the disk is full"):
        run_of(whole_batch({"a": tokens}), small_disk)
    assert list(small_disk.iterdir()) == []


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    pieces = [("a", segment(CONFIG, [1, 2, 3]))]
    encoder = encoder_of(CONFIG)
    with pytest.raises(TokenizerError, match="was tokenized with abc; this memory has def"):
        make_run(batch_of(pieces, 0, "abc"), tmp_path, encoder=encoder, sign=1, tokenizer_hash="def")
    assert list(tmp_path.iterdir()) == []
    make_run(batch_of(pieces, 0, "def"), tmp_path, encoder=encoder, sign=1, tokenizer_hash="def")
    make_run(batch_of(pieces, 1, "abc"), tmp_path, encoder=encoder, sign=1, tokenizer_hash="")  # any will do
    assert len(run_folders(tmp_path)) == 2


def test_a_batch_that_breaks_the_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outside the vocabulary"):
        run_of(whole_batch({"a": [40]}), tmp_path)
    with pytest.raises(InputError, match="lacks the metadata"):
        run_of(pa.table({"a": [1]}), tmp_path)
    assert list(tmp_path.iterdir()) == []


OTHERS = ["", "[]", '"word"', "7", "null", "{}", '{"kept": null}', "\ud800", "[" * 100_000]


@pytest.mark.parametrize("content", OTHERS, ids=range(len(OTHERS)))
def test_a_record_that_is_none_is_refused_by_its_name(run: RunFolder, content: str) -> None:
    (run.path / "record.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(DamagedMemoryError, match=rf"{NAME} is no whole run of a build \(record\.json"):
        run_folders(run.path.parent)


def test_a_record_with_any_other_value_is_refused(run: RunFolder) -> None:
    path = run.path / "record.json"
    values = json.loads(path.read_text())
    for name, value in values.items():
        others = [value + 1 if isinstance(value, int) else "x", [1], None if value is not None else 1]
        for other in others:
            path.write_text(json.dumps({**values, name: other}))
            with pytest.raises(DamagedMemoryError, match=NAME):
                RunFolder(run.path, OpenFiles())
        path.write_text(json.dumps({key: one for key, one in values.items() if key != name}))
        with pytest.raises(DamagedMemoryError, match=NAME):
            RunFolder(run.path, OpenFiles())


def test_a_missing_record_is_refused(run: RunFolder) -> None:
    (run.path / "record.json").unlink()
    with pytest.raises(DamagedMemoryError, match=NAME):
        run_folders(run.path.parent)


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of 40 documents in eight parts, with names of other lengths."""
    monkeypatch.setattr(run_folder, "_DOCUMENT_ROWS", 8)
    run_of(whole_batch({"x" * (index % 7) + str(index): [index % 40] for index in range(40)}), tmp_path / "runs")
    (found,) = run_folders(tmp_path / "runs")
    with ipc.open_file(str(found.path / "documents.arrow")) as file:
        assert file.num_record_batches == 8
    return found


def test_documents_of_any_range_of_keys_are_read(many: RunFolder) -> None:
    (whole,) = many.documents(0, TOP)
    keys, rows = whole["key"].to_pylist(), whole.to_pylist()
    assert keys == sorted(keys) == sorted(map(document_key, whole["id"].to_pylist()))
    edges = sorted({0, TOP, *keys[::3], *(key + 1 for key in keys[::5]), *(part << 61 for part in range(8))})
    for place, low in enumerate(edges):
        for high in edges[place + 1 :]:
            (found,) = many.documents(low, high)
            assert found.to_pylist() == [row for row in rows if low <= row["key"] < high]


def test_a_range_of_documents_is_read_without_the_others(many: RunFolder) -> None:
    """A part that was altered is in nobody's way but its own."""
    (whole,) = many.documents(0, TOP)
    path = many.path / "documents.arrow"
    with ipc.open_file(str(path)) as file:
        parts = [file.get_batch_with_custom_metadata(index) for index in range(8)]
    with ipc.new_file(str(path), SCHEMA) as writer:
        for index, part in enumerate(parts):
            writer.write_batch(part.batch, custom_metadata=None if index == 5 else part.custom_metadata)
    for index in range(8):
        low, high = index << 61, index + 1 << 61
        if index == 5:
            with pytest.raises(DamagedMemoryError, match=r"documents\.arrow is no whole run.*a checksum"):
                many.documents(low, high)
        else:
            (found,) = many.documents(low, high)
            assert found.equals(whole.filter(pa.array([low <= key < high for key in whole["key"].to_pylist()])))


def test_damaged_documents_are_refused_by_their_name(many: RunFolder) -> None:
    """What is read is what was written, or the file is refused."""
    (truth,), refused = many.documents(0, TOP), 0
    path, rng = many.path / "documents.arrow", np.random.default_rng(0)
    whole = path.read_bytes()
    for place in rng.integers(0, len(whole), 200).tolist():
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        try:
            (found,) = many.documents(0, TOP)
        except DamagedMemoryError as error:
            refused += path.name in str(error)
        else:
            assert found.equals(truth)
    assert refused > 100
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert_no_documents(many)
    for table in (SCHEMA.empty_table(), pa.table({"key": [1]})):
        with ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
        assert_no_documents(many)
    path.unlink()
    assert_no_documents(many)


def assert_no_documents(run: RunFolder) -> None:
    with pytest.raises(DamagedMemoryError, match=r"documents\.arrow"):
        run.documents(0, TOP)


@pytest.mark.parametrize("name", ["next-00000.arrow", "anchors.arrow"])
def test_a_file_that_was_cut_or_is_missing_is_refused_by_its_name(run: RunFolder, name: str) -> None:
    path = run.path / name

    def read() -> None:
        run.next(0, TOP)
        run.anchors(0, TOP)

    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedMemoryError, match=name):
        read()
    path.unlink()
    with pytest.raises(DamagedMemoryError, match=name):
        read()


def test_runs_do_not_depend_on_the_number_of_banks(tmp_path: Path) -> None:
    """The same files for every memory of these windows and this seed."""
    batch = whole_batch(DOCUMENTS)
    for banks in (1, 7):
        config = TextConfig(num_banks=banks, vocab_size=40, inner_dim=64, windows=(4, 16, 64), seed=3)
        run_of(batch, tmp_path / str(banks), config=config)
    one, seven = ({p.name: p.read_bytes() for p in (tmp_path / n / NAME).iterdir()} for n in ("1", "7"))
    assert one == seven
