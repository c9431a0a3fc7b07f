"""ShardReader: one shard file, read bank by bank, each checked.

Covers: opening and checking `shard-*.h5`, filling shards from it with bounded memory. Does not cover: writing one
(shard_writer.py), all files of a memory (working.py).

Every dataset has HDF5's own checksum and every bank a BLAKE2b digest; the manifest has the digest of all bank digests,
of documents and batch ids, and of the whole file. So what is read is known to be this memory's, be it one bank or all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from memo_dist.digests import array_digest, hex_digest
from memo_dist.documents import DocumentRegistry
from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.format import require_attributes, shard_attributes
from memo_dist.files.manifest import ShardRecord
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.ledger import Entries
from memo_dist.shard import Shard

_ROWS = 1 << 20  # ledger rows read at a time: 16 MiB


class ShardReader:
    """Reads one shard file.

    Args:
        path: the file.
        record: what the manifest says of it.
        config: the memory's definition. tokenizer_hash: of its tokenizer; "" for none.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, path: Path, record: ShardRecord, config: MemoryConfig, *, tokenizer_hash: str) -> None:
        self.path, self.config, self.record = path, config, record
        self.banks = range(record.first_bank, record.stop_bank)
        if not path.is_file():
            raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or build again")
        if path.stat().st_size != record.bytes:
            raise DamagedMemoryError(
                f"{path} has {path.stat().st_size:,} bytes; the manifest says {record.bytes:,}. "
                "It was truncated or replaced: restore it from a copy or build again"
            )
        with naming_damage(path):
            self._file = h5py.File(path, "r")
            require_attributes(self._file, path, shard_attributes(config, tokenizer_hash, self.banks))
            self.digests: np.ndarray = self._file["bank_digests"][:]
        if self.digests.shape != (len(self.banks), 2, 16) or hex_digest(self.digests) != record.digests:
            raise DamagedMemoryError(
                f"{path} has other bank digests than the manifest says: it was altered, or belongs to another memory"
            )

    def close(self) -> None:
        self._file.close()

    def cells(self, bank: int) -> np.ndarray:
        """One bank, config.bank_shape, checked."""
        row = bank - self.banks.start
        with naming_damage(self.path):
            cells: np.ndarray = self._file["cells"][row]
        if not np.array_equal(array_digest(cells), self.digests[row, 0]):
            raise DamagedMemoryError(f"{self.path}: bank {bank} does not match its digest; restore the file")
        return cells

    def entries(self, banks: range) -> Entries:
        """The ledger of some of its banks, checked."""
        bounds = self.bounds
        first, last = bounds[banks.start - self.banks.start], bounds[banks.stop - self.banks.start]
        with naming_damage(self.path):
            ledger = self._file["ledger"]
            held = Entries(*(ledger[name][first:last] for name in ("names", "tokens", "counts")))
        for bank in banks:
            row = bank - self.banks.start
            part = held.slice(bounds[row] - first, bounds[row + 1] - first)
            if not np.array_equal(array_digest(part.names, part.tokens, part.counts), self.digests[row, 1]):
                raise DamagedMemoryError(
                    f"{self.path}: the ledger of bank {bank} does not match its digest; restore it"
                )
        return held

    @cached_property
    def bounds(self) -> list[int]:
        """Where each bank's rows of the ledger begin, and where the last one's end; len(banks) + 1."""
        loads = np.zeros(len(self.banks), np.int64)
        with naming_damage(self.path):
            names = self._file["ledger"]["names"]
            for start in range(0, len(names), _ROWS):
                bank = bank_of(names[start : start + _ROWS], self.config.num_banks) - self.banks.start
                if bank.min() < 0 or bank.max() >= len(self.banks):
                    raise DamagedMemoryError(f"{self.path}: the ledger has rows of other banks; restore the file")
                loads += np.bincount(bank, minlength=len(self.banks))
        return [0, *np.cumsum(loads).tolist()]

    def groups(self, banks: range) -> Iterator[range]:
        """The banks that are both in `banks` and here, in pieces whose ledgers fit memory."""
        start, stop = max(self.banks.start, banks.start), min(self.banks.stop, banks.stop)
        while start < stop:
            limit = self.bounds[start - self.banks.start] + _ROWS
            reach = int(np.searchsorted(self.bounds, limit, side="right")) - 1 + self.banks.start
            end = min(stop, max(start + 1, reach))
            yield range(start, end)
            start = end

    def documents(self) -> np.ndarray:
        """Records of this shard's documents, (n, 4) uint64."""
        return self._records[0]

    def applied(self) -> set[str]:
        """Ids of the batches that are in this shard's matrices."""
        return {row.tobytes().hex() for row in self._records[1]}

    @property
    def _records(self) -> tuple[np.ndarray, np.ndarray]:
        """Documents and batch ids, checked together."""
        with naming_damage(self.path):
            documents, applied = self._file["documents"][:], self._file["applied"][:]
        if hex_digest(documents, applied) != self.record.records:
            raise DamagedMemoryError(f"{self.path}: documents or batch ids do not match the manifest; restore the file")
        return documents, applied

    def verify(self) -> None:
        """Check the whole file against the manifest, and every part of it against its digest."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(
                f"{self.path} does not match the manifest's checksum; restore it from a copy or build again"
            )
        self.documents()
        for group in self.groups(self.banks):
            self.entries(group)
            for bank in group:
                self.cells(bank)

    def load_into(self, shard: Shard) -> None:
        """Fill what `shard` owns of this file's banks; the shard's own banks may be other ones, or more."""
        mine = False
        for group in self.groups(shard.banks):
            first = self.bounds[group.start - self.banks.start]
            bounds = [bound - first for bound in self.bounds[group.start - self.banks.start :][: len(group) + 1]]
            cells = (self.cells(bank) for bank in group)
            shard.contents.restore(
                group,
                cells=cells,
                held=self.entries(group),
                bounds=bounds,
                associations=self.record.associations,
            )
            mine = True
        if mine:
            self._records_into(shard)

    def add_into(self, shard: Shard) -> None:
        """Add what falls to `shard`, whatever its number of banks: by the ledger, or without one by the matrices."""
        if not model_of(self.config).has_ledger:
            part = Shard(self.config, shard.banks, tokenizer_hash=shard.tokenizer_hash)
            self.load_into(part)
            shard.merge(part)
            return
        banks = self.config.num_banks
        for group in self.groups(range(shard.low * banks >> 64, -(-shard.high * banks >> 64))):
            shard.absorb(self.entries(group))
        self._records_into(shard)

    def _records_into(self, shard: Shard) -> None:
        for key, record in DocumentRegistry.from_array(self.documents()).items():
            if shard.owns_document(key):
                shard.registry.add(key, record)
        shard.applied |= self.applied()


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Whatever HDF5 says of a bad file becomes a DamagedMemoryError that names it."""
    try:
        yield
    except DamagedMemoryError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DamagedMemoryError(
            f"{path} cannot be read as a shard of a memory ({error}); restore it from a copy or build again"
        ) from error
