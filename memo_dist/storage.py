"""Shard files: one HDF5 file for a range of banks, written once, never changed.

Covers: writing and reading `shard-*.h5`, checking them. Does not cover: the directory and its manifest (manifest.py).
The format is stated in docs/format.md. Every dataset has HDF5's own checksum, every bank a BLAKE2b digest, and the
manifest the digest of the whole file, so damage is found whether one bank is read or all of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np

from memo_dist.associations import bank_edge
from memo_dist.backend import to_host
from memo_dist.config import MemoryConfig
from memo_dist.contents.protocol import array_digest
from memo_dist.documents import DocumentRegistry
from memo_dist.durable import Sink, file_digest, sync_directory, writing
from memo_dist.encoding.projected import codes_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.ledger import Entries
from memo_dist.shard import Shard

FORMAT_TYPE = "memo-dist shard"
FORMAT_VERSION = 1
_BLOCK = 1 << 22
_WRITE = 1 << 25  # bytes of cells handed to HDF5 at a time


@dataclass(frozen=True)
class ShardRecord:
    """What the manifest says of a shard file."""

    file: str
    first_bank: int
    stop_bank: int
    bytes: int
    blake2b: str
    associations: int


def write_shard(shard: Shard, path: Path) -> tuple[ShardRecord, np.ndarray]:
    """Write a shard to a new file: temporary name, fsync, rename. Returns its record and its bank digests.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    digests = shard.bank_digests()
    temporary = path.with_name(path.name + ".tmp")
    try:
        with writing(path):
            with Sink(temporary, "w+") as sink:
                with h5py.File(sink, "w", libver="latest") as file:
                    _write(file, shard, digests)
                if sink.error is not None:
                    raise sink.error
                os.fsync(sink.fileno())
            size, checksum = temporary.stat().st_size, file_digest(temporary)
            temporary.rename(path)
            sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    banks = shard.banks
    return ShardRecord(path.name, banks.start, banks.stop, size, checksum, shard.num_associations), digests


def _write(file: h5py.File, shard: Shard, digests: np.ndarray) -> None:
    config, contents = shard.config, shard.contents
    file.attrs["type"], file.attrs["version"] = FORMAT_TYPE, FORMAT_VERSION
    file.attrs["config"] = config.fingerprint
    file.attrs["tokenizer"] = shard.tokenizer_hash
    file.attrs["first_bank"], file.attrs["stop_bank"] = shard.banks.start, shard.banks.stop
    if config.preset == "paper":
        file.attrs["codes"] = codes_digest(config)
    shape = (len(shard.banks), *config.bank_shape)
    cells = file.create_dataset("cells", shape, config.cell_type, chunks=(1, *config.bank_shape), fletcher32=True)
    step = max(1, _WRITE // config.bank_bytes)
    for start in range(0, len(shard.banks), step):
        cells[start : start + step] = to_host(contents.cells[start : start + step])
    file.create_dataset("bank_digests", data=digests)
    group = file.create_group("ledger")
    for name, kind in (("names", "<u8"), ("tokens", "<u4"), ("counts", "<u4")):
        column = _column(group, name, (sum(len(part) for part in contents.entries()),), kind)
        at = 0
        for part in contents.entries():
            if len(part):
                column[at : at + len(part)] = to_host(getattr(part, name))
                at += len(part)
    for name, values in (("documents", shard.registry.to_array()), ("applied", _batch_ids(shard))):
        column = _column(file, name, values.shape, values.dtype.str)
        if len(values):
            column[:] = values


def _batch_ids(shard: Shard) -> np.ndarray:
    """(n, 16) uint8, sorted."""
    return np.array([list(bytes.fromhex(b)) for b in sorted(shard.applied)], np.uint8).reshape(-1, 16)


def _column(group: h5py.Group, name: str, shape: tuple[int, ...], kind: str) -> h5py.Dataset:
    if not shape[0]:
        return group.create_dataset(name, shape, kind)
    width = np.dtype(kind).itemsize * int(np.prod(shape[1:]))
    rows = min(shape[0], max(1, _BLOCK // width))
    return group.create_dataset(name, shape, kind, chunks=(rows, *shape[1:]), fletcher32=True)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Whatever HDF5 says of a bad file becomes a DamagedMemoryError that names it."""
    try:
        yield
    except DamagedMemoryError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DamagedMemoryError(
            f"{path} cannot be read as a shard of a memory ({error}); restore it from a copy or build again"
        ) from error


class ShardFile:
    """Reads one shard file bank by bank, checking each bank's digest.

    Args:
        path: the file.
        record: what the manifest says of it.
        config: the memory's definition.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named.
    """

    def __init__(self, path: Path, record: ShardRecord, config: MemoryConfig, tokenizer_hash: str) -> None:
        self.path, self.config, self.record = path, config, record
        self.banks = range(record.first_bank, record.stop_bank)
        if not path.is_file():
            raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or build again")
        if path.stat().st_size != record.bytes:
            raise DamagedMemoryError(
                f"{path} has {path.stat().st_size:,} bytes; the manifest says {record.bytes:,}. "
                "It was truncated or replaced: restore it from a copy or build again"
            )
        with _damage(path):
            self._file = h5py.File(path, "r")
            expected = {
                "type": FORMAT_TYPE,
                "version": FORMAT_VERSION,
                "config": config.fingerprint,
                "tokenizer": tokenizer_hash,
                "first_bank": record.first_bank,
                "stop_bank": record.stop_bank,
            }
            if config.preset == "paper":
                expected["codes"] = codes_digest(config)
            for name, value in expected.items():
                found = self._file.attrs[name]
                if found != value:
                    raise DamagedMemoryError(f"{path} has {name} {found!r}; the manifest says {value!r}")
            self.digests: np.ndarray = self._file["bank_digests"][:]
            if self.digests.shape != (len(self.banks), 2, 16):
                raise DamagedMemoryError(f"{path} has digests of {self.digests.shape[0]} banks, not {len(self.banks)}")

    def close(self) -> None:
        self._file.close()

    def cells(self, bank: int) -> np.ndarray:
        """One bank, config.bank_shape, checked."""
        row = bank - self.banks.start
        with _damage(self.path):
            cells: np.ndarray = self._file["cells"][row]
            if not np.array_equal(array_digest(cells), self.digests[row, 0]):
                raise DamagedMemoryError(f"{self.path}: bank {bank} does not match its digest; restore the file")
        return cells

    def documents(self) -> np.ndarray:
        """Records of this shard's documents, (n, 4) uint64."""
        with _damage(self.path):
            rows: np.ndarray = self._file["documents"][:]
        return rows

    def applied(self) -> set[str]:
        """Ids of the batches that are in this shard's matrices."""
        with _damage(self.path):
            return {row.tobytes().hex() for row in self._file["applied"][:]}

    def verify(self) -> None:
        """Check the whole file against the manifest."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(
                f"{self.path} does not match the manifest's checksum; restore it from a copy or build again"
            )

    def entries(self) -> Entries:
        """The ledger, whole."""
        with _damage(self.path):
            ledger = self._file["ledger"]
            return Entries(ledger["names"][:], ledger["tokens"][:], ledger["counts"][:])

    def load(self, xp: ModuleType = np) -> Shard:
        """A shard of this file's banks, checked bank by bank, ready for more."""
        expected = self.record.associations
        shard = Shard(self.config, self.banks, str(self._file.attrs["tokenizer"]), expected=expected, xp=xp)
        self.load_into(shard)
        return shard

    def load_into(self, shard: Shard) -> None:
        """Fill what `shard` owns of this file's banks; the shard's own banks may be other ones, or more.

        Raises:
            DamagedMemoryError: a bank's cells or ledger do not match their digest.
        """
        banks = range(max(self.banks.start, shard.banks.start), min(self.banks.stop, shard.banks.stop))
        if not banks:
            return
        entries = self.entries()
        bounds = self._ledger_bounds(entries, banks)
        for bank, start, stop in zip(banks, bounds[:-1], bounds[1:], strict=True):
            held = entries.slice(start, stop)
            digest = array_digest(held.names, held.tokens, held.counts)
            if not np.array_equal(digest, self.digests[bank - self.banks.start, 1]):
                raise DamagedMemoryError(
                    f"{self.path}: the ledger of bank {bank} does not match its digest; restore it"
                )
        cells = (self.cells(bank) for bank in banks)
        held = entries.slice(bounds[0], bounds[-1])
        shard.contents.restore(banks, bounds, held, cells, self.record.associations)
        registry = DocumentRegistry.from_array(self.documents())
        for key, record in registry.items():
            if shard.owns_document(key):
                shard.registry.add(key, record)
        shard.applied |= self.applied()

    def _ledger_bounds(self, entries: Entries, banks: range) -> list[int]:
        edges = [bank_edge(bank, self.config.num_banks) for bank in range(banks.start, banks.stop + 1)]
        if edges[-1] == 2**64:
            return [*np.searchsorted(entries.names, np.array(edges[:-1], np.uint64)).tolist(), len(entries)]
        bounds: list[int] = np.searchsorted(entries.names, np.array(edges, np.uint64)).tolist()
        return bounds
