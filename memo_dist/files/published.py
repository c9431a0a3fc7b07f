"""Published memories: cells in a few bits and nothing else, for recall only.

Covers: making one from a memory, reading and checking it. Does not cover: the packed form (planes.py), memories that
can change (stored.py). The format is stated in docs/format.md.

There is no ledger, so nothing can be added or forgotten; in return a bank takes 8 KiB at one bit and d = 256, and files
are mapped: a query touches the pages of the banks that it asks, and processes of one machine share them.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.digests import array_digest, hex_digest
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.durable import Sink, file_digest, writing
from memo_dist.files.manifest import Manifest
from memo_dist.files.shard_reader import ShardFile, naming_damage
from memo_dist.files.shard_writer import FORMAT_VERSION, ShardRecord, root_attributes
from memo_dist.files.stored import StoredMemory, read_tokenizer, shard_file, staged_output, write_contents
from memo_dist.models import model_of
from memo_dist.models.text.associations import bank_of
from memo_dist.models.text.banks import read_banks
from memo_dist.models.text.bit_planes import BITS, quantize
from memo_dist.models.text.codes import key_words, mask_words, signs
from memo_dist.shard import memory_digest
from memo_dist.tokenizer import Tokenizer

PUBLISHED_TYPE = b"memo-dist published shard"
EXACT = 16  # bits: the cells as they are
PUBLISHED_BITS = (*BITS, EXACT)


OnBank = Callable[[int, int], None]


def publish(memory: Path, out: Path, bits: int, on_bank: OnBank = lambda done, banks: None) -> Manifest:
    """Write a recall-only memory, one bank at a time; `memory` is not changed.

    Args:
        bits: a cell, of PUBLISHED_BITS; 16 keeps the cells as they are.
        on_bank: called with the number of banks done and of all.

    Raises:
        ConfigError: `bits` is none of those, or the memory is of the preset paper.
        DamagedMemoryError: the memory is not whole. OutputExistsError, StorageError: `out` cannot be written.
    """
    if bits not in PUBLISHED_BITS:
        raise ConfigError(f"--bits is {bits}; expected one of {', '.join(map(str, PUBLISHED_BITS))}")
    with StoredMemory(memory) as stored, staged_output(out) as staging:
        config, base = stored.config, stored.manifest
        if not model_of(config).publishes:
            raise ConfigError(f"{memory} is of the preset {config.preset!r}; only memories of the preset text publish")
        written = []
        for index, file in enumerate(stored.shards):
            written.append(_write(staging / shard_file(index), file, base.tokenizer_hash, bits, on_bank))
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"action": "publish", "when": when, "memory": str(memory), "bits": bits, "digest": base.digest}
        sources = [*base.sources, entry]
        return write_contents(
            staging, config, stored.tokenizer, written, base.tokens, base.documents, sources, bits=bits
        )


def _write(
    path: Path, file: ShardFile, tokenizer_hash: str, bits: int, on_bank: OnBank
) -> tuple[ShardRecord, np.ndarray]:
    config, banks = file.config, file.banks
    scales, digests = np.ones(len(banks)), np.empty((len(banks), 16), np.uint8)
    with writing(path), Sink(path, "w+") as sink:
        with h5py.File(sink, "w", libver="latest") as opened:
            for name, value in _attributes(config, tokenizer_hash, banks, bits).items():
                opened.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value
            shape, kind = _layout(config, bits)
            packed = opened.create_dataset("cells", (len(banks), *shape), kind)
            for row, bank in enumerate(banks):
                cells = file.cells(bank)
                if bits != EXACT:
                    cells, scales[row] = quantize(cells, bits)
                packed[row] = cells
                digests[row] = array_digest(cells, scales[row : row + 1])
                on_bank(bank + 1, config.num_banks)
            opened["scales"], opened["bank_digests"] = scales, digests
        if sink.error is not None:
            raise sink.error
        os.fsync(sink.fileno())
    record = ShardRecord(
        file=path.name,
        first_bank=banks.start,
        stop_bank=banks.stop,
        bytes=path.stat().st_size,
        blake2b=file_digest(path),
        digests=hex_digest(digests),
        records="",
        associations=file.record.associations,
    )
    return record, digests


def _attributes(config: MemoryConfig, tokenizer_hash: str, banks: range, bits: int) -> dict[str, bytes | int]:
    common = root_attributes(config, tokenizer_hash, banks)
    return {**common, "type": PUBLISHED_TYPE, "version": FORMAT_VERSION, "bits": bits}


def _layout(config: MemoryConfig, bits: int) -> tuple[tuple[int, ...], str]:
    """Shape and type of a bank."""
    dim = config.inner_dim
    return ((dim, dim), "<i2") if bits == EXACT else ((bits, dim, dim // 64), "<u8")


class PublishedFile:
    """One mapped shard of a published memory; banks are checked when they are first asked.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, path: Path, record: ShardRecord, manifest: Manifest) -> None:
        self.path, self.record, bits = path, record, manifest.bits
        self.banks = range(record.first_bank, record.stop_bank)
        if not path.is_file():
            raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or publish again")
        if path.stat().st_size != record.bytes:
            raise DamagedMemoryError(f"{path} has {path.stat().st_size:,} bytes; the manifest says {record.bytes:,}")
        with naming_damage(path), h5py.File(path, "r") as opened:
            attributes = _attributes(manifest.config, manifest.tokenizer_hash, self.banks, bits)
            for name, value in attributes.items():
                found = opened.attrs[name]
                if found != value:
                    raise DamagedMemoryError(f"{path} has {name} {found!r}; the manifest says {value!r}")
            self.scales: np.ndarray = opened["scales"][:]
            self.digests: np.ndarray = opened["bank_digests"][:]
            shape, kind = _layout(manifest.config, bits)
            whole, offset = (len(self.banks), *shape), opened["cells"].id.get_offset()
            if opened["cells"].shape != whole or opened["cells"].dtype != kind or offset is None:
                raise DamagedMemoryError(f"{path} has cells of shape {opened['cells'].shape}, not {whole}")
        if hex_digest(self.digests) != record.digests:
            raise DamagedMemoryError(f"{path} has other bank digests than the manifest says: it was altered")
        with naming_damage(path):
            self.cells: np.ndarray = np.memmap(path, kind, "r", offset, whole)
        self._checked = np.zeros(len(self.banks), bool)

    def check(self, rows: np.ndarray) -> None:
        """Compare banks, counted from the file's first, with their digests, once each."""
        for row in np.unique(rows[~self._checked[rows]]).tolist():
            found = array_digest(self.cells[row], self.scales[row : row + 1])
            if not np.array_equal(found, self.digests[row]):
                raise DamagedMemoryError(f"{self.path}: bank {self.banks.start + row} does not match its digest")
            self._checked[row] = True

    def verify(self) -> None:
        """Check the whole file against the manifest, and every bank."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(f"{self.path} does not match the manifest's checksum; restore it or publish again")
        self.check(np.arange(len(self.banks)))


class PublishedMemory:
    """A published memory directory, opened for recall; a `Reader`.

    Raises:
        DamagedMemoryError: the directory is not a whole memory; the file at fault is named.
        ConfigError: it is a memory that was not published.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = Manifest.read(self.path)
        if not self.manifest.bits:
            raise ConfigError(f"{path} is not a published memory; memo-dist publish makes one of it")
        self.config = self.manifest.config
        self.shards = [PublishedFile(self.path / one.file, one, self.manifest) for one in self.manifest.shards]
        digests = np.concatenate([file.digests for file in self.shards])
        if memory_digest(self.config, self.manifest.tokenizer_hash, digests) != self.manifest.digest:
            raise DamagedMemoryError(f"{self.path}: the shards together do not give the digest in manifest.json")
        self._starts = np.array([file.banks.start for file in self.shards])

    def __enter__(self) -> "PublishedMemory":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do: maps end with the last array that uses them."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """See read_tokenizer."""
        return read_tokenizer(self.path, self.manifest)

    @property
    def bytes_on_disk(self) -> int:
        return sum(file.stat().st_size for file in self.path.iterdir())

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer (m,) uint64 window hashes: (m, d) int32 vectors scale q, rounded; see planes.py."""
        answers = np.empty((len(cues), self.config.inner_dim), np.int32)
        bank = bank_of(cues, self.config.num_banks)
        owner = np.searchsorted(self._starts, bank, side="right") - 1
        for index in np.unique(owner).tolist():
            rows, file = np.flatnonzero(owner == index), self.shards[index]
            local = bank[rows] - file.banks.start
            file.check(local)
            answers[rows] = self._read_file(file, cues[rows], local)
        return answers

    def _read_file(self, file: PublishedFile, cues: np.ndarray, local: np.ndarray) -> np.ndarray:
        if self.manifest.bits == EXACT:
            return np.asarray(read_banks(self.config, cues, lambda bank: file.cells[bank - file.banks.start]))
        from memo_dist.kernels.planes import read_planes

        dim = self.config.inner_dim
        levels = np.empty((len(cues), dim), np.int32)
        read_planes(file.cells, local, key_words(cues, dim), levels)
        reads = levels * file.scales[local, None] * signs(mask_words(cues, dim))
        return np.asarray(np.rint(reads).astype(np.int32))

    def verify(self) -> None:
        """Check every byte.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        _ = self.tokenizer
        for file in self.shards:
            file.verify()


def open_memory(path: str | Path) -> StoredMemory | PublishedMemory:
    """A memory of either kind, for reading.

    Raises:
        DamagedMemoryError: it is not whole; the file at fault is named.
    """
    return PublishedMemory(path) if Manifest.read(Path(path)).bits else StoredMemory(path)
