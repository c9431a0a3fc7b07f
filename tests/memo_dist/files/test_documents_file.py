"""Documents' files: what is written is what was there; a few are found among many; what is foreign is refused.

Does not cover: damaged bytes (test_corruption.py).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memo_dist import Memory, TextConfig
from memo_dist.document_parts import DocumentPart, document_key
from memo_dist.documents import LOW, SCHEMA, DocumentRegistry
from memo_dist.durable import file_digest
from memo_dist.errors import ConfigError, DamagedMemoryError, StorageError
from memo_dist.files.documents_file import GROUP_ROWS, DocumentsFile, write_documents
from memo_dist.files.manifest import FileRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish

NAMES = [f"folder/file-{i}.txt" for i in range(3 * GROUP_ROWS + 17)]


def part(name: str, position: int = 0) -> DocumentPart:
    return DocumentPart(name, "rows.parquet", position, "rows", 0, 9, 3, 1 + position, True)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    registry = DocumentRegistry()
    for position, name in enumerate(NAMES):
        registry.add(document_key(name), part(name, position))
    return registry.table()


@pytest.fixture
def file(table: pa.Table, tmp_path: Path) -> DocumentsFile:
    path = tmp_path / "shard-0.documents.parquet"
    return DocumentsFile(path, write_documents(table, path))


def test_what_is_read_is_what_was_written(table: pa.Table, file: DocumentsFile) -> None:
    groups = list(file.groups())
    assert pa.concat_tables(groups) == table
    assert max(group.num_rows for group in groups) == GROUP_ROWS
    file.verify()
    empty = DocumentsFile(file.path, write_documents(table.slice(0, 0), file.path))
    assert list(empty.groups()) == []
    assert list(empty.ids(np.zeros(1, np.uint32))) == []


def test_a_few_are_found_in_the_groups_that_hold_them(file: DocumentsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda self, n: read.append(n) or whole(self, n))
    wanted = [NAMES[5], NAMES[40_000]]
    low = np.sort(np.array([document_key(name) & LOW for name in wanted], np.uint32))
    assert sorted(name for _, name in file.ids(low)) == sorted(wanted)
    assert len(read) <= 2
    assert list(file.ids(np.zeros(0, np.uint32))) == []


def test_names_of_a_whole_memory(tmp_path: Path) -> None:
    memory = Memory(TextConfig(num_banks=2, vocab_size=9, inner_dim=64))
    for name in ("a", "b"):
        memory.memorize(name, [1, 2, 3])
    memory.shard.registry.add(document_key("a"), part("a", 5))
    memory.save(tmp_path / "m.memo")
    low = {name: document_key(name) & LOW for name in ("a", "b", "c")}
    with open_memory(tmp_path / "m.memo") as stored:
        assert stored.documents_named(low.values()) == {low["a"]: ["a"], low["b"]: ["b"]}
        assert stored.documents_named([]) == {}
    publish(tmp_path / "m.memo", tmp_path / "p.memo", 4)
    with open_memory(tmp_path / "p.memo") as stored, pytest.raises(ConfigError, match="published"):
        stored.documents_named(low.values())


def refused(table: pa.Table, path: Path, message: str, **how: object) -> None:
    """A file whose record fits it, as one has it who altered the manifest too."""
    pq.write_table(table, path, **how)
    record = FileRecord(path.name, path.stat().st_size, file_digest(path))
    with pytest.raises(DamagedMemoryError, match=message) as caught:
        DocumentsFile(path, record).verify()
    assert path.name in str(caught.value)


def test_hostile_files_are_refused_by_name(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "shard.documents.parquet"
    refused(table.drop_columns("fingerprint"), path, "has the columns")
    refused(table.set_column(0, "low", table["low"].cast(pa.uint64())), path, "has the columns")
    refused(table.slice(0, 100), path, "cannot be read", write_statistics=False)
    refused(table.take(list(range(99, -1, -1))), path, "under other keys")
    keys = pa.array(np.roll(table["key"].to_numpy()[:100], 1), pa.uint64())
    refused(table.slice(0, 100).set_column(1, SCHEMA.field("key"), keys), path, "under other keys")
    path.write_bytes(b"PAR1" + b"\xff" * 100 + b"\x10\x00\x00\x00PAR1")
    record = FileRecord(path.name, path.stat().st_size, file_digest(path))
    with pytest.raises(DamagedMemoryError, match="cannot be read"):
        DocumentsFile(path, record).verify()


@pytest.mark.parametrize("by_dictionary", [True, False])
def test_texts_that_would_fill_the_memory_are_refused(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_dictionary: bool
) -> None:
    """A text of a megabyte that 64 rows share, once in the file or as often as zstd hides it."""
    rows, path = table.slice(0, 64), tmp_path / "shard.documents.parquet"
    long = pa.array(["x" * (1 << 20)] * 64, pa.large_string())
    hostile = rows.set_column(SCHEMA.get_field_index("source"), SCHEMA.field("source"), long)
    monkeypatch.setattr("memo_dist.files.documents_file._GROUP_BYTES", 1 << 25)
    refused(hostile, path, r"a group of 64 rows would take 6\d,", compression="zstd", use_dictionary=by_dictionary)
    assert path.stat().st_size < 1 << 20


def test_another_size_and_a_missing_file_are_refused(file: DocumentsFile) -> None:
    with pytest.raises(DamagedMemoryError, match="the manifest says"):
        DocumentsFile(file.path, replace(file.record, bytes=file.record.bytes + 1))
    file.path.unlink()
    with pytest.raises(DamagedMemoryError, match="is missing"):
        DocumentsFile(file.path, file.record)


def test_a_failed_write_leaves_nothing(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(StorageError, match=r"documents\.parquet: the disk is full"):
        write_documents(table, tmp_path / "shard.documents.parquet")
    assert list(tmp_path.iterdir()) == []
