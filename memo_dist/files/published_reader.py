"""Published memories, read: cells in a few bits, mapped, each bank checked when it is first asked.

Covers: one shard file and all of them. Does not cover: making one (published_writer.py), the packed form
(models/text/bit_planes.py), the directory (opened.py).

A query touches the pages of the banks that it asks, and processes of one machine share these pages.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from memo_dist.digests import array_digest, hex_digest
from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import Extents, naming_damage
from memo_dist.files.format import TOKEN_COUNTS, published_attributes, published_layout, require_attributes
from memo_dist.files.manifest import Manifest, ShardRecord
from memo_dist.files.token_counts import total_counts
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.banks import read_banks
from memo_dist.models.text.bit_planes import EXACT
from memo_dist.models.text.codes import key_words, mask_words, signs

if TYPE_CHECKING:
    from memo_dist.remote.located import RemoteFiles


class PublishedReader:
    """One mapped shard file.

    Args:
        path: the file.
        record: what the manifest says of it.
        manifest: the memory's.
        remote: the store that the file is in, if only its head is here.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(
        self, path: Path, record: ShardRecord, manifest: Manifest, *, remote: "RemoteFiles | None" = None
    ) -> None:
        self._remote = remote
        self.path, self.record, self.banks = path, record, range(record.first_bank, record.stop_bank)
        if not path.is_file():
            raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or publish again")
        if path.stat().st_size != record.bytes:
            raise DamagedMemoryError(f"{path} has {path.stat().st_size:,} bytes; the manifest says {record.bytes:,}")
        config, bits = manifest.config, manifest.bits
        with naming_damage(path), h5py.File(path, "r") as opened:
            wanted = published_attributes(config, manifest.tokenizer_hash, self.banks, bits=bits)
            require_attributes(opened, path, wanted)
            extents, count = Extents(path, opened), len(self.banks)
            self.scales: np.ndarray = extents.find("scales", (count,), "<f8").all()
            self.digests: np.ndarray = extents.find("bank_digests", (count, 16), "|u1").all()
            self._token_counts = extents.find(TOKEN_COUNTS, (config.vocab_size + 1,), "<u8")
            shape, kind = published_layout(config, bits)
            cells = extents.find("cells", (count, *shape), kind)
        if hex_digest(self.digests) != record.digests:
            raise DamagedMemoryError(f"{path} has other bank digests than the manifest says: it was altered")
        self._first = cells.offset
        place, offset = (path, cells.offset) if remote is None else remote.mapped(path.name, cells.offset)
        with naming_damage(path):
            self.cells: np.ndarray = np.memmap(place, kind, "r", offset=offset, shape=cells.shape)
        self._checked = np.zeros(len(self.banks), bool)

    def check(self, rows: np.ndarray) -> None:
        """Compare banks, counted from the file's first, with their digests, once each."""
        new = np.unique(rows[~self._checked[rows]])
        if self._remote is not None and len(new):
            size, first = self.cells[0].nbytes, self._first
            self._remote.have(self.path.name, [(first + row * size, first + (row + 1) * size) for row in new.tolist()])
        for row in new.tolist():
            found = array_digest(self.cells[row], self.scales[row : row + 1])
            if not np.array_equal(found, self.digests[row]):
                raise DamagedMemoryError(f"{self.path}: bank {self.banks.start + row} does not match its digest")
            self._checked[row] = True

    def token_counts(self) -> np.ndarray:
        """(V + 1,) uint64, as the memory had it that was published; checked."""
        counts = self._token_counts.all()
        if hex_digest(counts) != self.record.token_counts:
            raise DamagedMemoryError(f"{self.path}: token counts do not match the manifest; restore the file")
        return counts

    def verify(self) -> None:
        """Check the whole file against the manifest, and every bank."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(f"{self.path} does not match the manifest's checksum; restore it or publish again")
        self.token_counts()
        self.check(np.arange(len(self.banks)))


class PublishedShards:
    """All shard files of a published memory.

    Args:
        directory: the memory.
        manifest: its manifest.
        remote: the store that its files are in, if only their heads are here.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, directory: Path, manifest: Manifest, remote: "RemoteFiles | None" = None) -> None:
        self.config, self._bits, self._remote = manifest.config, manifest.bits, remote
        self.files = [
            PublishedReader(directory / record.file, record, manifest, remote=remote) for record in manifest.shards
        ]
        self._starts = np.array([file.banks.start for file in self.files])

    @property
    def digests(self) -> np.ndarray:
        """(G, 16) uint8, in bank order."""
        return np.concatenate([file.digests for file in self.files])

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer (m,) uint64 window hashes: (m, d) int32 vectors scale q, rounded; see bit_planes.py."""
        answers = np.empty((len(cues), self.config.inner_dim), np.int32)
        bank = bank_of(cues, self.config.num_banks)
        owner = np.searchsorted(self._starts, bank, side="right") - 1
        for index in np.unique(owner).tolist():
            rows, file = np.flatnonzero(owner == index), self.files[index]
            local = bank[rows] - file.banks.start
            file.check(local)
            answers[rows] = self._read_file(file, cues[rows], local)
        return answers

    def _read_file(self, file: PublishedReader, cues: np.ndarray, local: np.ndarray) -> np.ndarray:
        if self._bits == EXACT:
            return np.asarray(read_banks(self.config, cues, lambda bank: file.cells[bank - file.banks.start]))
        from memo_dist.kernels.planes import read_planes

        dim = self.config.inner_dim
        levels = np.empty((len(cues), dim), np.int32)
        read_planes(file.cells, local, key_words(cues, dim), levels)
        reads = levels * file.scales[local, None] * signs(mask_words(cues, dim))
        return np.asarray(np.rint(reads).astype(np.int32))

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, the sum over all files."""
        return total_counts(file.token_counts() for file in self.files)

    def verify(self) -> None:
        """Check every byte."""
        if self._remote is not None:
            self._remote.verify()
            return
        for file in self.files:
            file.verify()

    def close(self) -> None:
        """Let go of a store; maps end with the last array that uses them."""
        if self._remote is not None:
            self._remote.close()
