"""A segment's file: what is written is what is read, also by a reader that was written from the format's page alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plain_format import PlainShard

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.digests import array_digest
from memo_dist.errors import DamagedMemoryError, StorageError
from memo_dist.files import segment_writer
from memo_dist.files.format import LARGEST_DOCUMENT
from memo_dist.files.manifest import Manifest, SegmentRecord
from memo_dist.files.segment_reader import SegmentReader
from memo_dist.files.segmented_shard import shard_readers
from memo_dist.files.working import WorkingShards
from memo_dist.models import encoder_for
from memo_dist.runs.held_run import held_run, together
from memo_dist.runs.merging import MergeOrder
from memo_dist.runs.segmenting import segment_into
from memo_dist.segments import NO_TOKENS, Segment

CONFIG = TextConfig(num_banks=5, vocab_size=256, inner_dim=64)
TOKENS = np.random.default_rng(0).integers(0, 256, (3, 300)).astype(np.uint32)
NAME = "shard-00000.g0001-0123abcd.h5"


def memory_of(*numbers: int) -> Memory:
    memory = Memory(CONFIG, Tokenizer.bytes())
    for number in numbers:
        memory.memorize(f"text {number}", TOKENS[number])
    return memory


def segmented(path: Path) -> Manifest:
    """A memory of texts 0 and 1 that has a segment by which 1 goes and 2 comes."""
    memory_of(0, 1).save(path)
    manifest, tokenizer = Manifest.read(path), Tokenizer.bytes()
    runs = []
    for number, sign in ((1, -1), (2, 1)):
        info = BatchInfo(f"{number:032x}", "", "", tokenizer.hash)
        batch = make_batch([(f"text {number}", Segment(0, NO_TOKENS, TOKENS[number], True))], info)
        encoder = encoder_for(replace(CONFIG, num_banks=1), tokenizer)
        runs.append(held_run(batch, encoder=encoder, sign=sign, tokenizer_hash=tokenizer.hash))
    (held,) = shard_readers(path, manifest)
    order = MergeOrder(config=CONFIG, tokenizer_hash=tokenizer.hash, banks=range(5), rows=2000)
    try:
        record, digests = segment_into(path / NAME, held, [together(runs)], order=order, applied={f"{2:032x}"})
    finally:
        held.close()
    assert np.array_equal(digests, memory_of(0, 2).shard.bank_digests())
    return replace(manifest, segments=[SegmentRecord([record], 1000)])


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    manifest = segmented(tmp_path / "m.memo")
    (record,) = manifest.segments[0].files
    reader = SegmentReader(tmp_path / "m.memo" / NAME, record, CONFIG, tokenizer_hash=manifest.tokenizer_hash)
    plain = PlainShard(tmp_path / "m.memo" / NAME, 5, 256)
    for group, largest, read in (
        ("ledger/next", 256, reader.following),
        ("ledger/document", LARGEST_DOCUMENT, reader.anchoring),
    ):
        found = [row for bank in plain.ledger(group, largest) for row in bank]
        coded = read(range(5)).coded()
        assert found == list(zip(coded.names.tolist(), coded.tokens.tolist(), coded.counts.tolist(), strict=True))
        assert len(found) > 20
    assert plain.arrays["bank_digests"].tolist() == reader.digests.tolist()
    assert reader.applied() == {f"{2:032x}"}
    reader.verify()
    reader.close()


def test_a_shard_with_its_segment_is_the_memory_after_the_change(tmp_path: Path) -> None:
    manifest, truth = segmented(tmp_path / "m.memo"), memory_of(0, 2)
    shards = WorkingShards(tmp_path / "m.memo", manifest, 1 << 20)
    shards.verify()
    (file,) = shards.files
    assert file.associations == truth.num_associations
    assert [array_digest(file.cells(bank)).tolist() for bank in range(5)] == truth.shard.bank_digests()[:, 0].tolist()
    counts = shards.token_counts()
    assert counts is not None
    assert counts.tolist() == np.asarray(truth.token_counts()).tolist()
    assert sorted(name for table in shards.documents() for name in table.column("id").to_pylist()) == [
        "text 0",
        "text 2",
    ]
    shards.close()


def test_cells_that_do_not_become_what_the_segment_says_are_refused(tmp_path: Path) -> None:
    """As of a segment of another memory, whatever its own checksum says."""
    manifest = segmented(tmp_path / "m.memo")
    memory_of(1, 2).save(tmp_path / "n.memo")
    other = replace(Manifest.read(tmp_path / "n.memo"), segments=manifest.segments)
    (tmp_path / "n.memo" / NAME).write_bytes((tmp_path / "m.memo" / NAME).read_bytes())
    name = NAME.replace(".h5", ".documents.parquet")
    (tmp_path / "n.memo" / name).write_bytes((tmp_path / "m.memo" / name).read_bytes())
    shards = WorkingShards(tmp_path / "n.memo", other, 1 << 20)
    with pytest.raises(DamagedMemoryError, match="bank 0 does not match its digest, with its segments"):
        shards.files[0].cells(0)
    shards.close()


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segment_writer, "file_digest", full)
    with pytest.raises(StorageError, match="the disk is full"):
        segmented(tmp_path / "m.memo")
    assert not [path for path in (tmp_path / "m.memo").iterdir() if "0123abcd" in path.name]
