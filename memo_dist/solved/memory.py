"""The directory of a solved memory: files of tables, the names of documents, what the manifest says of them.

Covers: putting together what steps.py left. Does not cover: one file (writer.py), the manifest's name and place in the
directory (cluster/workspace.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memo_dist.documents import numbers
from memo_dist.durable import file_digest, sync_file, writing
from memo_dist.files.format import SOLVED_DOCUMENTS, solved_attributes, solved_file
from memo_dist.files.journal import PublishEntry, now
from memo_dist.files.manifest import FileRecord, Manifest, SolvedRecord
from memo_dist.files.opened import OpenMemory
from memo_dist.models.text.config import TextConfig
from memo_dist.shard import memory_digest
from memo_dist.solved.writer import SolvedRung, write_solved

_WINDOWS_OF_A_FILE = 1 << 28  # about 800 MB
_GROUP_ROWS = 1 << 14
_DOCUMENTS_AT_ONCE = 1 << 18
_PAIRS = pa.schema([("low", pa.uint32()), ("id", pa.large_string())])
_NAMES = pa.schema([("number", pa.uint32()), ("id", pa.large_string())])


@dataclass(frozen=True, kw_only=True)
class SolvedSettings:
    """How a memory was solved: see SolvedRecord.

    Attributes:
        memory: what the journal calls the one that is published.
        numbers: documents that anchors tell apart, 0 if there are none; then the last rung is the anchors'.
        files: of tables, at least.
    """

    memory: str
    check_bits: int
    anchors: int
    numbers: int
    files: int = 1


def write_document_names(opened: OpenMemory, directory: Path) -> np.ndarray:
    """Write the file that names documents; (n,) uint32 rising: the low half of the key that each number stands for.

    A range of low halves is in memory at a time, with about _DOCUMENTS_AT_ONCE documents, and four bytes for each of
    all.

    Raises:
        StorageError: it cannot be written.
    """
    if not opened.manifest.documents:
        return np.zeros(0, np.uint32)
    path, lows, count = directory / SOLVED_DOCUMENTS, [np.zeros(0, np.uint32)], 0
    with writing(path), pq.ParquetWriter(path, _NAMES, compression="zstd") as writer:
        for pairs in _names(opened):
            found, number = np.unique(numbers(pairs, "low").astype(np.uint32), return_inverse=True)
            numbered = pa.array((count + number).astype(np.uint32))
            table = pa.table({"number": numbered, "id": pairs.column("id")}, schema=_NAMES)
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            lows.append(found)
            count += len(found)
    with writing(path):
        sync_file(path)
    return np.concatenate(lows)


def _names(opened: OpenMemory) -> Iterator[pa.Table]:
    """(low, id) of all documents, each once, sorted, range by range of low halves."""
    working, ranges = opened.require_working(), -(-opened.manifest.documents // _DOCUMENTS_AT_ONCE)
    edges = [(place << 32) // ranges for place in range(ranges + 1)]
    for first, stop in pairwise(edges):
        parts = [pa.Table.from_batches([], schema=_PAIRS)]
        for table in working.documents_of_halves(first, stop):
            begun = table.filter(pc.equal(table.column("start"), 0)).select(_PAIRS.names)
            parts.append(begun.cast(_PAIRS))
        both = pa.concat_tables(parts).combine_chunks()
        yield both.group_by(_PAIRS.names).aggregate([]).sort_by([(name, "ascending") for name in _PAIRS.names])


def write_solved_memory(
    directory: Path, opened: OpenMemory, config: TextConfig, *, rungs: Sequence[SolvedRung], settings: SolvedSettings
) -> Manifest:
    """Write the files of tables; the manifest, not yet written.

    Args:
        opened: the memory that is published. config: of the solved one. rungs: of its ladder, then of the anchors.

    Raises:
        StorageError: a file cannot be written.
    """
    base, ladder = opened.manifest, len(config.windows)
    held = sum(rung.windows for rung in rungs)
    files = max(settings.files, 1 << (held // _WINDOWS_OF_A_FILE).bit_length())
    records: list[FileRecord] = []
    digests: list[list[np.ndarray]] = []
    for index in range(files):
        attributes = solved_attributes(
            config, base.tokenizer_hash, index=index, files=files, check_bits=settings.check_bits
        )
        record, found = write_solved(directory / solved_file(index), rungs, attributes, rungs_of_ladder=ladder)
        records.append(record)
        digests.append(found)
    anchors = rungs[-1] if settings.numbers else None
    solved = SolvedRecord(
        check_bits=settings.check_bits,
        windows=[rung.windows for rung in rungs[:ladder]],
        cuts=[rung.cut for rung in rungs[:ladder]],
        anchors=anchors.windows if anchors else 0,
        anchors_cut=anchors.cut if anchors else 0,
        anchor_every=settings.anchors if anchors else 0,
        numbers=settings.numbers,
        num_files=files,
        files=records,
        documents=_record(directory / SOLVED_DOCUMENTS) if anchors else None,
    )
    whole = np.concatenate([found[rung] for rung in range(len(rungs)) for found in digests])
    entry = PublishEntry(when=now(), memory=settings.memory, bits=0, digest=base.digest)
    return Manifest(
        config=config,
        tokenizer_hash=base.tokenizer_hash,
        digest=memory_digest(config, base.tokenizer_hash, whole),
        tokens=base.tokens,
        documents=base.documents,
        associations=held,
        shards=[],
        sources=[*base.sources, entry],
        solved=solved,
    )


def _record(path: Path) -> FileRecord:
    return FileRecord(path.name, path.stat().st_size, file_digest(path))
