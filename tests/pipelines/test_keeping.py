"""Keeping: what tasks keep is what they made, and documents are taken out of it segment by segment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from dask.base import compute

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, KeptChange, read_batch
from memo_dist.document_identities import identities_of
from memo_dist.documents import rows_of
from memo_dist.files.kept_batches import read_kept
from memo_dist.files.manifest import BatchRecord
from memo_dist.segments import Origin
from pipelines.batching import delayed_batches
from pipelines.keeping import Keeping, KeptSplit, delayed_holders, holds_any, taken_batch
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.selection import EVERYTHING, Selection

CONFIG = TextConfig(num_banks=3, vocab_size=256, inner_dim=64)
BYTES = Tokenizer.bytes()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A file of several splits, and small ones."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "corpus"
    folder.mkdir()
    for index, size in enumerate([400_000, 300, 500, 20]):
        text = " ".join(map(str, rng.integers(0, 1000, size // 4)))
        (folder / f"{index}.txt").write_text(text)
    return folder


def kept(corpus: Path, folder: Path) -> list[pa.Table]:
    plan = plan_corpus([str(corpus)], CorpusOptions(split_bytes=70_000))
    graphs = delayed_batches(
        plan.splits,
        plan.options,
        tokenizer=BYTES,
        context_length=CONFIG.context_length,
        keeping=Keeping(str(folder), 256),
    )
    return list(compute(*graphs, scheduler="sync"))


def record_of(table: pa.Table) -> BatchRecord:
    change = KeptChange.of(table)
    assert change is not None
    return BatchRecord(change.file, change.bytes, change.blake2b, change.tokens)


def test_what_is_kept_is_what_was_made(corpus: Path, tmp_path: Path) -> None:
    tables = kept(corpus, tmp_path / "batches")
    assert len(tables) > 2
    assert len(list((tmp_path / "batches").iterdir())) == len(tables)
    for table in tables:
        assert read_kept(tmp_path / "batches", record_of(table), 256).equals(table)
    assert [record_of(table) for table in kept(corpus, tmp_path / "batches")] == [record_of(t) for t in tables]
    assert len(list((tmp_path / "batches").iterdir())) == len(tables)


def test_documents_are_taken_out_of_what_is_kept(corpus: Path, tmp_path: Path) -> None:
    """The large one out of every batch that has a part of it, and a small one; the rest stays, to the token."""
    before, after = tmp_path / "before", tmp_path / "after"
    tables = kept(corpus, before)
    memory, other = Memory(CONFIG, BYTES), Memory(CONFIG, BYTES)
    for table in tables:
        memory.memorize_batch(table)
    gone = [str(corpus / "0.txt"), str(corpus / "2.txt")]
    parts = [part for _, part in rows_of(memory.shard.registry.table()) if part.id in gone]
    selection = Selection.of(parts)
    records = [record_of(table) for table in tables]
    graphs = delayed_holders(records, selection=selection, folder=str(before), together=2)
    holding = np.concatenate(compute(*graphs, scheduler="sync"))
    assert holding.tolist() == [any(name in gone for name, _ in read_batch(table, CONFIG)) for table in tables]
    left = [record for record, holds in zip(records, holding, strict=True) if not holds]
    for record in (record for record, holds in zip(records, holding, strict=True) if holds):
        split = KeptSplit(record, "op")
        taken = taken_batch(selection, split=split, before=Keeping(str(before), 256), after=Keeping(str(after), 256))
        assert BatchInfo.of(taken).batch_id == split.batch_id != BatchInfo.of(tables[0]).batch_id
        change = KeptChange.of(taken)
        assert change is not None
        assert change.replaces == record.file
        if change.file:
            left.append(record_of(taken))
        for _ in range(2):  # the second changes nothing
            memory.shard.forget_contents_of(taken)
    for name in (str(corpus / "1.txt"), str(corpus / "3.txt")):
        other.memorize(name, np.frombuffer(Path(name).read_bytes(), np.uint8))
    assert memory.digest() == other.digest()
    held, expected = (identities_of([m.shard.registry.table()]) for m in (memory, other))
    assert np.array_equal(held, expected)
    again = Memory(CONFIG, BYTES)
    for record in left:
        folder = after if (after / record.file).exists() else before
        again.memorize_batch(read_kept(folder, record, 256))
        assert not holds_any(str(folder), record, selection)
    assert again.digest() == other.digest()


def test_an_empty_batch_is_not_kept(corpus: Path, tmp_path: Path) -> None:
    (table, *_) = kept(corpus, tmp_path / "batches")
    nothing = table.slice(0, 0)
    assert Keeping(str(tmp_path / "none"), 256).keep(nothing) is nothing
    assert not (tmp_path / "none").exists()


def test_a_selection_takes_places(tmp_path: Path) -> None:
    places = [("a", Origin("f", 0)), ("a", Origin("f", 7)), ("b", Origin("f", 0)), ("a", Origin("g", 0))]
    from memo_dist.document_parts import DocumentPart

    one = DocumentPart("a", "f", 7, "bytes", 0, 1, 1, 0, True)
    selection = Selection.of([one])
    assert [selection.takes(*place) for place in places] == [False, True, False, False]
    assert [replace(selection, inside=False).takes(*place) for place in places] == [True, False, True, True]
    assert all(EVERYTHING.takes(*place) for place in places)
    assert not any(Selection.of([]).takes(*place) for place in places)
