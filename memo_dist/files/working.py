"""WorkingShards: the shard files of a memory that can change, read bank by bank.

Covers: reading with a cache, documents and batch ids, loading into shards in memory. Does not cover: one file
(shard_reader.py), the directory (opened.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from memo_dist.document_identities import identities_of
from memo_dist.documents import numbers
from memo_dist.files.manifest import Manifest
from memo_dist.files.segmented_shard import shard_readers
from memo_dist.files.shard_reader import ShardReader
from memo_dist.files.token_counts import total_counts
from memo_dist.models import model_of
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.followers import Followers, find_followers, gathered
from memo_dist.models.text.ledger import Entries
from memo_dist.shard import Shard


class WorkingShards:
    """All shard files of a memory with a ledger, or with cells that are kept as they are.

    Args:
        directory: the memory.
        manifest: its manifest.
        cache_bytes: banks kept in memory once read.
        newest: where the files of the newest segment are, before they are in the directory.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, directory: Path, manifest: Manifest, cache_bytes: int, *, newest: Path | None = None) -> None:
        self.config = manifest.config
        self.files = files = shard_readers(directory, manifest, newest=newest)
        banks = max(1, cache_bytes // self.config.bank_bytes)
        # of the files and not of self: a cycle would keep files of a generation that is let go open
        self._bank = lru_cache(maxsize=banks)(lambda bank: _file_of(files, bank).cells(bank))
        self._ledger = lru_cache(maxsize=banks)(lambda bank: _file_of(files, bank).bank_entries(bank))
        self._anchors = lru_cache(maxsize=banks)(lambda bank: _file_of(files, bank).bank_anchors(bank))  # much smaller

    @property
    def digests(self) -> np.ndarray:
        """(G, k, 16) uint8, in bank order."""
        return np.concatenate([file.digests for file in self.files])

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models.cues.Reader."""
        return model_of(self.config).read_cells(self.config, cues, self._bank)

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes, bank by bank."""
        return self._found(hashes, self._ledger, salt=TOKEN_SALT)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents (low halves of keys) that each of (m,) window hashes is an anchor of, bank by bank."""
        return self._found(hashes, self._anchors, salt=DOCUMENT_SALT)

    def _found(self, hashes: np.ndarray, ledger: Callable[[int], Entries], *, salt: int) -> Followers:
        bank = bank_of(hashes, self.config.num_banks)
        asked = []
        for one in np.unique(bank).tolist():
            rows = np.flatnonzero(bank == one)
            asked.append((rows, find_followers(ledger(one), hashes[rows], salt=salt)))
        return gathered(asked, len(hashes))

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, the sum over all files; None without a ledger."""
        return total_counts(file.token_counts() for file in self.files)

    def documents(self) -> Iterator[pa.Table]:
        """The records of all documents, of documents.SCHEMA, a group of rows at a time."""
        for file in self.files:
            yield from file.documents.groups()

    def documents_between(self, low: int, high: int) -> Iterator[pa.Table]:
        """The records whose keys lie in [low, high), of the files that these fall to."""
        for file in self.files:
            first, stop = (bank_edge(bank, self.config.num_banks) for bank in (file.banks.start, file.banks.stop))
            for records in file.documents.groups() if first < high and low < stop else ():
                keys = numbers(records, "key")  # sorted by their lower halves
                yield records.filter(pa.array((keys >= np.uint64(low)) & (keys <= np.uint64(high - 1))))

    def documents_of_halves(self, first: int, stop: int) -> Iterator[pa.Table]:
        """The records whose keys have a lower half in [first, stop), a group of rows at a time."""
        for file in self.files:
            for records in file.documents.groups(lambda least, most: least < stop and first <= most):
                low = numbers(records, "low").astype(np.int64)
                yield records.filter(pa.array((low >= first) & (low < stop)))

    def identities(self) -> np.ndarray:
        """(n,) of IDENTITIES, sorted: every whole document, as often as it is held.

        Raises:
            InputError: a document is not whole, as in the checkpoint of a build that is under way.
        """
        return identities_of(self.documents())

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the lower 32 bits of their keys; those that no document has are left out."""
        asked, found = np.unique(np.fromiter(low, np.uint32)), dict[int, list[str]]()
        for file in self.files:
            for half, name in file.documents.ids(asked):
                if name not in found.setdefault(half, []):
                    found[half].append(name)
        return found

    def applied(self) -> set[str]:
        """Ids of the batches that are in the matrices of every shard."""
        return set.intersection(*(file.applied() for file in self.files))

    def load_into(self, shard: Shard) -> None:
        """Fill an empty shard of the same config with the banks that it owns."""
        for file in self.files:
            file.load_into(shard)

    def add_into(self, shard: Shard) -> None:
        """Add to a shard what the memory holds for its banks, by its matrices: for models without a ledger."""
        for file in self.files:
            file.add_into(shard)

    def entries_between(self, low: int, high: int) -> Iterator[tuple[Entries, Entries]]:
        """Ledger entries and anchors whose names lie in [low, high), in order, a group of banks at a time."""
        banks = self.config.num_banks
        asked = range((low >> 32) * banks >> 32, -(-high * banks >> 64))  # a name's upper half says its bank
        for file in self.files:
            for group in file.groups(asked):
                yield file.entries(group).within(low, high), file.anchors(group).within(low, high)

    def verify(self) -> None:
        """Check every byte."""
        for file in self.files:
            file.verify()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()


def _file_of(files: Sequence[ShardReader], bank: int) -> ShardReader:
    return next(file for file in files if bank in file.banks)
