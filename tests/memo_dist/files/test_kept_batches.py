"""Kept batches: what is read is the batch that was kept, a batch made twice is one file, what is foreign is refused.

Does not cover: damaged bytes (test_corruption.py), who keeps what when (tests/pipelines/test_keeping.py).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.batches import SCHEMA, BatchInfo, KeptChange, make_batch
from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError, StorageError
from memo_dist.files.kept_batches import read_kept, read_places, stored_schema, write_batch
from memo_dist.files.manifest import BatchRecord
from memo_dist.segments import Origin, Segment

ID = "ab" * 16
INFO = BatchInfo(ID, "a source", "content", "tokenizer", 1, 2, 3)


def batch(texts: list[list[int]], info: BatchInfo = INFO) -> pa.Table:
    rows = [
        (f"d{at}", Segment(9 * (at % 2), ids[:3], ids, at % 3 > 0, stop=at + 40, origin=Origin("f", at, "rows")))
        for at, ids in enumerate(np.array(text, np.uint32) for text in texts)
    ]
    return make_batch(rows, info)


def record_of(change: KeptChange) -> BatchRecord:
    return BatchRecord(change.file, change.bytes, change.blake2b, change.tokens)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), min_size=1, max_size=5), st.booleans())
def test_what_is_read_is_the_batch_that_was_kept(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]], small: bool
) -> None:
    folder, size = tmp_path_factory.mktemp("m") / "batches", 1 << 16 if small else 2**31
    table = batch([[token % size for token in text] for text in texts])
    change = write_batch(table, folder, size)
    assert change.tokens == sum(map(len, texts))
    read = read_kept(folder, record_of(change), size)
    assert read == table
    assert read.schema.equals(table.schema, check_metadata=True)
    assert BatchInfo.of(read) == INFO
    kind = pq.read_schema(folder / change.file).field("tokens").type.value_type
    assert kind == (pa.uint16() if small else pa.int32())
    assert read_places(folder, record_of(change)).column_names == ["document_id", "source", "position"]


def test_a_batch_made_twice_is_one_file_and_another_content_is_another(tmp_path: Path) -> None:
    first, again = (write_batch(batch([[1, 2, 3], [4]]), tmp_path, 500) for _ in range(2))
    assert first == again
    assert [path.name for path in tmp_path.iterdir()] == [first.file]
    other = write_batch(batch([[1, 2, 4], [4]]), tmp_path, 500)
    assert other.file != first.file
    assert first.file.startswith(ID)
    assert other.file.startswith(ID)
    assert (first.bytes, first.blake2b) == (
        (tmp_path / first.file).stat().st_size,
        file_digest(tmp_path / first.file),
    )


def test_tokens_of_text_take_about_two_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = (rng.zipf(1.2, 300_000) % 16_000).tolist()
    change = write_batch(batch([tokens]), tmp_path, 16_000)
    assert change.bytes < 2.1 * len(tokens)


def test_what_a_batch_says_of_its_file_comes_back(tmp_path: Path) -> None:
    table = batch([[1]])
    assert KeptChange.of(table) is None
    change = replace(write_batch(table, tmp_path, 500), replaces="before.parquet")
    said = change.on(table)
    assert KeptChange.of(said) == change
    assert BatchInfo.of(said) == INFO


def refused(folder: Path, stored: pa.Table, message: str, *, tokens: int = 4, **how: object) -> None:
    """A file whose record fits it, as one has it who altered the manifest too."""
    path = folder / f"{ID}-0123456789abcdef.parquet"
    pq.write_table(stored, path, **how)
    record = BatchRecord(path.name, path.stat().st_size, file_digest(path), tokens)
    with pytest.raises(DamagedMemoryError, match=message) as caught:
        read_kept(folder, record, 500)
    assert path.name in str(caught.value)


def test_hostile_files_are_refused_by_name(tmp_path: Path) -> None:
    table = batch([[1, 2, 3], [4]])
    stored = table.cast(stored_schema(500).with_metadata(table.schema.metadata))
    refused(tmp_path, table, "has the columns")  # tokens of 32 bits
    refused(tmp_path, stored.drop_columns("context"), "has the columns")
    refused(tmp_path, stored, "in 2 groups of rows", row_group_size=1)
    refused(tmp_path, stored.replace_schema_metadata({}), "is no kept batch: a batch lacks the metadata")
    refused(tmp_path, stored, "of 4 tokens; the manifest says 5", tokens=5)
    other = batch([[1, 2, 3], [4]], replace(INFO, batch_id="cd" * 16))
    refused(tmp_path, other.cast(stored_schema(500).with_metadata(other.schema.metadata)), f"is batch {'cd' * 16}")


def test_what_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million equal tokens, and a name that many rows share, are small files."""
    monkeypatch.setattr("memo_dist.files.kept_batches._MOST_BYTES", 1 << 22)
    for table in (batch([[7] * 10_000_000]), batch([[1]] * 64)):
        stored = table.cast(stored_schema(500).with_metadata(table.schema.metadata))
        if len(table) > 1:
            name = SCHEMA.field("source")
            stored = stored.set_column(SCHEMA.get_field_index("source"), name, pa.array(["x" * (1 << 20)] * 64))
            stored = stored.replace_schema_metadata(table.schema.metadata)
        refused(tmp_path, stored, "would take", compression="zstd")
        assert max(path.stat().st_size for path in tmp_path.iterdir()) < 1 << 20


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match=r"cannot write .*parquet: the disk is full"):
        write_batch(batch([[1]]), tmp_path, 500)
    assert list(tmp_path.iterdir()) == []
