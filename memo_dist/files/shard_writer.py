"""ShardWriter: one HDF5 file for a range of banks, written once from front to back, never to be changed.

Covers: writing `shard-*.h5` with the file of its documents beside it (documents_file.py), and what the manifest says of
both. Does not cover: reading one (shard_reader.py), where banks come from (memo_dist/runs/merging.py), the directory
and its manifest (staging.py, manifest.py). The format is stated in docs/reference/format.md.
"""

import itertools
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa

from memo_dist.device.backend import to_host
from memo_dist.digests import array_digest, hex_digest
from memo_dist.durable import Sink, file_digest, sync_directory, writing
from memo_dist.files.cells_file import CellsWriter
from memo_dist.files.documents_file import write_documents
from memo_dist.files.format import (
    DOCUMENT,
    LARGEST_DOCUMENT,
    NEXT,
    TOKEN_COUNTS,
    digests_of_a_bank,
    documents_file,
    shard_attributes,
    write_attributes,
)
from memo_dist.files.ledger_layout import LedgerLayout, bank_names
from memo_dist.files.ledger_writer import LedgerWriter
from memo_dist.files.manifest import ShardRecord
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.ledger import NO_ENTRIES, Entries
from memo_dist.shard import Shard

_BLOCK = 1 << 22
_WRITE = 1 << 23  # bytes of a shard's cells handed on at a time


class ShardWriter:
    """A shard's file while it is written: temporary name, fsync, rename; nothing is left behind by a failure.

    Args:
        path: the file to be.
        config, tokenizer_hash: of the memory.
        banks: the range.
        rows, anchors: how many entries of either kind there will be; 0 where the model keeps no ledger.

    Raises:
        StorageError: the file cannot be written; so do all methods.
    """

    def __init__(
        self, path: Path, config: MemoryConfig, tokenizer_hash: str, *, banks: range, rows: int, anchors: int
    ) -> None:
        self.path, self.config, self.banks, self._left = path, config, banks, [rows, anchors]
        self._temporary = path.with_name(path.name + ".tmp")
        self._digests = np.empty((len(banks), digests_of_a_bank(config), 16), np.uint8)
        self._counts, self._filled = np.zeros(config.vocab_size + 1, np.uint64), 0
        self._has_ledger = model_of(config).has_ledger
        self._record: ShardRecord | None = None
        self._open = ExitStack()
        try:
            with writing(path):
                self._sink = self._open.enter_context(Sink(self._temporary, "w+"))
                self._file = self._open.enter_context(h5py.File(self._sink, "w", libver="latest"))
                write_attributes(self._file, shard_attributes(config, tokenizer_hash, banks))
                self._cells = CellsWriter(self._file, config, len(banks))
                if self._has_ledger:
                    self._next = self._ledger(NEXT, rows, config.vocab_size)
                    self._anchors = self._ledger(DOCUMENT, anchors, LARGEST_DOCUMENT)
        except BaseException:
            self.__exit__()
            raise

    def _ledger(self, group: str, rows: int, largest: int) -> LedgerWriter:
        layout = LedgerLayout(self.banks, self.config.num_banks, rows, largest)
        return LedgerWriter(self._file.create_group(group), layout)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind unless it was finished."""
        self._open.close()
        if self._record is None:
            self._temporary.unlink(missing_ok=True)
            self.path.with_name(documents_file(self.path.name)).unlink(missing_ok=True)

    def put(self, banks: range, cells: np.ndarray, *, following: Entries, anchors: Entries) -> None:
        """Banks that follow those before: cells (k, *config.bank_shape), and their entries, none without a ledger.

        Raises:
            ValueError: they do not follow those before, there are not as many cells, or more rows than was said.
        """
        first = banks.start - self.banks.start
        if first != self._filled or len(cells) != len(banks) or banks.stop > self.banks.stop:
            raise ValueError(f"got {len(cells)} banks for {banks}; expected {self.banks[self._filled :]}")
        self._filled += len(banks)
        with writing(self.path):
            self._cells.put(first, cells)
            for row, one in enumerate(cells, first):
                self._digests[row, 0] = array_digest(one)
            if self._sink.error is not None:  # a merge goes on for hours: it need not be told of a full disk last
                raise self._sink.error
            if not self._has_ledger:
                self._digests[first : first + len(cells), 1] = array_digest()
                return
            self._left = [self._left[0] - len(following), self._left[1] - len(anchors)]
            if min(self._left) < 0:
                raise ValueError("there are more rows, or anchors, than was said")
            for kind, (writer, entries) in enumerate(((self._next, following), (self._anchors, anchors)), 1):
                entries = Entries(*map(to_host, (entries.names, entries.tokens, entries.counts)))
                writer.append(entries)
                for row, (start, stop) in enumerate(_bounds(entries.names, banks, self.config.num_banks), first):
                    one = entries.slice(start, stop)
                    self._digests[row, kind] = array_digest(one.names, one.tokens, one.counts)
            self._counts += np.bincount(to_host(following.tokens), minlength=len(self._counts)).astype(np.uint64)

    def finish(
        self, documents: pa.Table, applied: Iterable[str], *, associations: int
    ) -> tuple[ShardRecord, np.ndarray]:
        """Write the rest, once all banks were put, and give the file its name.

        Args:
            documents: the records that this shard keeps, of documents.SCHEMA, sorted. applied: ids of batches.
            associations: see Contents.num_associations.

        Returns:
            Its record and its bank digests.

        Raises:
            ValueError: banks are missing, or there were not as many rows or anchors as was said.
        """
        if self._filled != len(self.banks):
            raise ValueError(f"got {self._filled} banks; expected {len(self.banks)}")
        ids = np.array([list(bytes.fromhex(b)) for b in sorted(applied)], np.uint8).reshape(-1, 16)
        record = write_documents(documents, self.path.with_name(documents_file(self.path.name)))
        with writing(self.path):
            self._file["bank_digests"] = self._digests
            self._cells.close()
            if self._has_ledger:
                self._next.close()
                self._anchors.close()
                self._file[TOKEN_COUNTS] = self._counts
            write_applied(self._file, ids)
            self._file.close()
            if self._sink.error is not None:
                raise self._sink.error
            os.fsync(self._sink.fileno())
            size, checksum = self._temporary.stat().st_size, file_digest(self._temporary)
            self._temporary = self._temporary.rename(self.path)  # to be removed if what follows fails
            sync_directory(self.path.parent)
        self._record = ShardRecord(
            file=self.path.name,
            first_bank=self.banks.start,
            stop_bank=self.banks.stop,
            bytes=size,
            blake2b=checksum,
            digests=hex_digest(self._digests),
            records=hex_digest(ids),
            associations=associations,
            token_counts=hex_digest(self._counts) if self._has_ledger else "",
            documents=record,
        )
        return self._record, self._digests


def write_shard(shard: Shard, path: Path) -> tuple[ShardRecord, np.ndarray]:
    """Write a shard that is in memory; its record and its bank digests.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    config, contents, ledger, banks = shard.config, shard.contents, shard.contents.with_ledger, shard.banks
    rows, anchors = (0, 0) if ledger is None else (ledger.num_associations, ledger.num_anchors)
    with ShardWriter(path, config, shard.tokenizer_hash, banks=banks, rows=rows, anchors=anchors) as writer:
        step = max(1, _WRITE // config.bank_bytes)
        for first in range(0, len(banks), step):
            group = banks[first : first + step]
            cells = to_host(contents.read_banks(first, first + len(group)))
            here = bank_edge(group.start, config.num_banks), bank_edge(group.stop, config.num_banks)
            entries, held = (NO_ENTRIES, NO_ENTRIES) if ledger is None else ledger.between(*here)
            writer.put(group, cells, following=entries, anchors=held)
        return writer.finish(shard.registry.table(), shard.applied, associations=shard.num_associations)


def _bounds(names: np.ndarray, banks: range, num_banks: int) -> list[tuple[int, int]]:
    """Where each bank's rows begin and end among sorted names of these banks."""
    lowest, _ = bank_names(banks, num_banks)
    starts = [*np.searchsorted(names, lowest).tolist(), len(names)]
    return list(itertools.pairwise(starts))


def write_applied(file: h5py.File, applied: np.ndarray) -> None:
    """Write ids of batches, (n, 16) uint8, into a file that has none yet."""
    column = _column(file, "applied", applied.shape, kind=applied.dtype.str)
    if len(applied):
        column[:] = applied


def _column(group: h5py.Group, name: str, shape: tuple[int, ...], *, kind: str) -> h5py.Dataset:
    if not shape[0]:
        return group.create_dataset(name, shape, kind)
    width = np.dtype(kind).itemsize * int(np.prod(shape[1:]))
    rows = min(shape[0], max(1, _BLOCK // width))
    return group.create_dataset(name, shape, kind, chunks=(rows, *shape[1:]), fletcher32=True)
