"""ShardReader: one shard file, read bank by bank, each checked.

Covers: opening and checking `shard-*.h5`, filling shards from it with bounded memory. Does not cover: writing one
(shard_writer.py), all files of a memory (working.py).

Every bank has a BLAKE2b digest of its cells and of its ledger, unpacked; the manifest has the digest of all bank
digests, of token counts, of batch ids, and of the whole file. So what is read is known to be this memory's, be it one
bank or all.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from memo_dist.digests import array_digest, hex_digest
from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.cells_file import CellsReader
from memo_dist.files.checked_ledger import CheckedLedger
from memo_dist.files.documents_file import DocumentsFile
from memo_dist.files.extents import Extents, naming_damage
from memo_dist.files.format import (
    DOCUMENT,
    LARGEST_DOCUMENT,
    NEXT,
    TOKEN_COUNTS,
    digests_of_a_bank,
    require_attributes,
    shard_attributes,
)
from memo_dist.files.ledger_reader import LedgerReader
from memo_dist.files.manifest import ShardRecord
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.text.ledger import NO_ENTRIES, Entries
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

    _attributes = staticmethod(shard_attributes)

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
        with naming_damage(path), h5py.File(path, "r") as opened:
            require_attributes(opened, path, self._attributes(config, tokenizer_hash, self.banks))
            self._extents = Extents(path, opened)
            shape = (len(self.banks), digests_of_a_bank(config), 16)
            self.digests: np.ndarray = self._extents.find("bank_digests", shape, "|u1").all()
            if hex_digest(self.digests) != record.digests:
                raise DamagedMemoryError(
                    f"{path} has other bank digests than the manifest says: it was altered, or is of another memory"
                )
            self._open_contents()

    def _open_contents(self) -> None:
        config, banks = self.config, self.banks
        self._cells = CellsReader(self._extents, config, len(banks))
        self._ledger: CheckedLedger | None = None
        self._anchors: CheckedLedger | None = None
        if not model_of(config).has_ledger:
            return
        self._ledger = self._find_ledger(NEXT, largest=config.vocab_size, digest=1)
        self._anchors = self._find_ledger(DOCUMENT, largest=LARGEST_DOCUMENT, digest=2)
        if len(self._ledger) != self.record.associations:
            raise DamagedMemoryError(
                f"{self.path} holds {len(self._ledger):,} associations; the manifest says {self.record.associations:,}"
            )
        self._token_counts = self._extents.find(TOKEN_COUNTS, (config.vocab_size + 1,), "<u8")

    def _find_ledger(self, group: str, *, largest: int, digest: int) -> CheckedLedger:
        banks, numbers = self.banks, self.config.num_banks
        ledger = LedgerReader(self._extents, group, banks=banks, num_banks=numbers, largest=largest)
        return CheckedLedger(ledger, banks, self.digests[:, digest])

    def close(self) -> None:
        """Let go of the file."""
        self._extents.close()
        if "documents" in self.__dict__:
            self.documents.close()

    @property
    def associations(self) -> int:
        """Distinct ones, of all its banks."""
        return self.record.associations

    def cells(self, bank: int) -> np.ndarray:
        """One bank, config.bank_shape, checked."""
        row = bank - self.banks.start
        cells = self._cells.read(row)
        if not np.array_equal(array_digest(cells), self.digests[row, 0]):
            raise DamagedMemoryError(f"{self.path}: bank {bank} does not match its digest; restore the file")
        return cells

    def entries(self, banks: range) -> Entries:
        """The ledger of some of its banks, checked; of none where the model keeps no ledger."""
        return NO_ENTRIES if self._ledger is None else self._ledger.entries(banks)

    def anchors(self, banks: range) -> Entries:
        """The anchors of some of its banks, checked; of none where the model keeps no ledger."""
        return NO_ENTRIES if self._anchors is None else self._anchors.entries(banks)

    def bank_entries(self, bank: int) -> Entries:
        """The ledger of one bank, checked when it is first asked."""
        return NO_ENTRIES if self._ledger is None else self._ledger.bank_entries(bank)

    def bank_anchors(self, bank: int) -> Entries:
        """The anchors of one bank, checked when it is first asked."""
        return NO_ENTRIES if self._anchors is None else self._anchors.bank_entries(bank)

    @cached_property
    def bounds(self) -> list[int]:
        """Where each bank's rows of the ledger begin, and where the last one's end; len(banks) + 1."""
        return [0] * (len(self.banks) + 1) if self._ledger is None else self._ledger.bounds

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, how many of the ledger's associations have each token, checked; None without a ledger."""
        if self._ledger is None:
            return None
        counts = self._token_counts.all()
        if hex_digest(counts) != self.record.token_counts:
            raise DamagedMemoryError(f"{self.path}: token counts do not match the manifest; restore the file")
        return counts

    def groups(self, banks: range) -> Iterator[range]:
        """The banks that are both in `banks` and here, in pieces whose ledgers fit memory."""
        start, stop = max(self.banks.start, banks.start), min(self.banks.stop, banks.stop)
        while start < stop:
            limit = self.bounds[start - self.banks.start] + _ROWS
            reach = int(np.searchsorted(self.bounds, limit, side="right")) - 1 + self.banks.start
            end = min(stop, max(start + 1, reach))
            yield range(start, end)
            start = end

    @cached_property
    def documents(self) -> DocumentsFile:
        """The records of this shard's documents."""
        if self.record.documents is None:
            raise DamagedMemoryError(f"{self.path} comes without a file of its documents; restore the manifest")
        return DocumentsFile(self.path.with_name(self.record.documents.file), self.record.documents)

    def applied(self) -> set[str]:
        """Ids of the batches that are in this shard's matrices."""
        with naming_damage(self.path), h5py.File(self.path, "r") as opened:
            if opened["applied"].nbytes > self.record.bytes:  # never written, all zeros
                raise DamagedMemoryError(f"{self.path} says that it has more batch ids than it has bytes")
            applied = opened["applied"][:]
        if hex_digest(applied) != self.record.records:
            raise DamagedMemoryError(f"{self.path}: the batch ids do not match the manifest; restore the file")
        return {row.tobytes().hex() for row in applied}

    def verify(self) -> None:
        """Check the whole file against the manifest, and every part of it against its digest."""
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(
                f"{self.path} does not match the manifest's checksum; restore it from a copy or build again"
            )
        self.documents.verify()
        self.applied()
        self.token_counts()
        for group in self.groups(self.banks):
            self.entries(group)
            self.anchors(group)
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
                associations=self.associations,
            )
            if shard.contents.with_ledger is not None:
                shard.contents.with_ledger.absorb_anchors(self.anchors(group))
            mine = True
        if mine:
            self._records_into(shard)

    def add_into(self, shard: Shard) -> None:
        """Add what falls to `shard` by its matrices: for models without a ledger."""
        part = Shard(self.config, shard.banks, tokenizer=shard.tokenizer)
        self.load_into(part)
        shard.merge(part)

    def _records_into(self, shard: Shard) -> None:
        for table in self.documents.groups():
            shard.add_documents(table)
        shard.applied |= self.applied()
