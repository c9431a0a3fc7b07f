"""SegmentWriter: the file of a segment for a range of banks, written once from front to back, never to be changed.

Covers: writing it, with the file of its documents beside it, and what the manifest says of both. Does not cover:
reading one (segment_reader.py), what changes (memo_dist/runs/segmenting.py). The format is stated in
docs/reference/format.md.
"""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa

from memo_dist.digests import hex_digest
from memo_dist.durable import Sink, file_digest, sync_directory, writing
from memo_dist.files.documents_file import write_documents
from memo_dist.files.format import (
    DOCUMENT,
    LARGEST_DOCUMENT,
    NEXT,
    documents_file,
    segment_attributes,
    write_attributes,
)
from memo_dist.files.ledger_layout import LedgerLayout
from memo_dist.files.ledger_writer import LedgerWriter
from memo_dist.files.manifest import ShardRecord
from memo_dist.files.shard_writer import write_applied
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.deltas import Deltas


class SegmentWriter:
    """A segment's file while it is written: temporary name, fsync, rename; nothing is left behind by a failure.

    Args:
        path: the file to be.
        config, tokenizer_hash: of the memory.
        banks: the range: that of a shard file.
        rows, anchors: how many deltas of either kind there will be.

    Raises:
        StorageError: the file cannot be written; so do all methods.
    """

    def __init__(
        self, path: Path, config: MemoryConfig, tokenizer_hash: str, *, banks: range, rows: int, anchors: int
    ) -> None:
        self.path, self.banks, self._done = path, banks, False
        self._temporary = path.with_name(path.name + ".tmp")
        self._open = ExitStack()
        try:
            with writing(path):
                self._sink = self._open.enter_context(Sink(self._temporary, "w+"))
                self._file = self._open.enter_context(h5py.File(self._sink, "w", libver="latest"))
                write_attributes(self._file, segment_attributes(config, tokenizer_hash, banks))
                self._next, self._anchors = (
                    LedgerWriter(self._file.create_group(kind), LedgerLayout(banks, config.num_banks, size, largest))
                    for kind, size, largest in (
                        (NEXT, rows, config.vocab_size),
                        (DOCUMENT, anchors, LARGEST_DOCUMENT),
                    )
                )
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "SegmentWriter":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind unless it was finished."""
        self._open.close()
        if not self._done:
            self._temporary.unlink(missing_ok=True)
            self.path.with_name(documents_file(self.path.name)).unlink(missing_ok=True)

    def put(self, following: Deltas, anchors: Deltas) -> None:
        """Deltas that follow those before in order of names."""
        with writing(self.path):
            self._next.append(following.coded())
            self._anchors.append(anchors.coded())
            if self._sink.error is not None:
                raise self._sink.error

    def finish(
        self, documents: pa.Table, applied: Iterable[str], *, digests: np.ndarray, associations: int
    ) -> ShardRecord:
        """Write the rest, once all deltas were put, and give the file its name.

        Args:
            documents: records of what came, times 1, and went, times -1, of documents.SCHEMA, sorted.
            applied: ids of the batches of this change.
            digests, associations: of the whole banks, with this change.

        Raises:
            ValueError: there were not as many deltas as was said.
        """
        ids = np.array([list(bytes.fromhex(b)) for b in sorted(applied)], np.uint8).reshape(-1, 16)
        record = write_documents(documents, self.path.with_name(documents_file(self.path.name)))
        with writing(self.path):
            self._file["bank_digests"] = digests
            self._next.close()
            self._anchors.close()
            write_applied(self._file, ids)
            self._file.close()
            if self._sink.error is not None:
                raise self._sink.error
            os.fsync(self._sink.fileno())
            size, checksum = self._temporary.stat().st_size, file_digest(self._temporary)
            self._temporary = self._temporary.rename(self.path)  # to be removed if what follows fails
            sync_directory(self.path.parent)
        self._done = True
        return ShardRecord(
            file=self.path.name,
            first_bank=self.banks.start,
            stop_bank=self.banks.stop,
            bytes=size,
            blake2b=checksum,
            digests=hex_digest(digests),
            records=hex_digest(ids),
            associations=associations,
            token_counts="",
            documents=record,
        )
