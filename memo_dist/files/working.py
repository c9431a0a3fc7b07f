"""WorkingShards: the shard files of a memory that can change, read bank by bank.

Covers: reading with a cache, documents and batch ids, loading into shards in memory. Does not cover: one file
(shard_reader.py), the directory (opened.py).
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from memo_dist.files.manifest import Manifest
from memo_dist.files.shard_reader import ShardReader
from memo_dist.models import model_of
from memo_dist.shard import Shard


class WorkingShards:
    """All shard files of a memory with a ledger, or with cells that are kept as they are.

    Args:
        directory: the memory.
        manifest: its manifest.
        cache_bytes: banks kept in memory once read.

    Raises:
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, directory: Path, manifest: Manifest, cache_bytes: int) -> None:
        self.config = manifest.config
        self.files = [
            ShardReader(directory / record.file, record, self.config, tokenizer_hash=manifest.tokenizer_hash)
            for record in manifest.shards
        ]
        banks = max(self.config.num_heads, cache_bytes // self.config.bank_bytes)
        self._bank = lru_cache(maxsize=banks)(self._read_bank)

    @property
    def digests(self) -> np.ndarray:
        """(G, 2, 16) uint8, in bank order."""
        return np.concatenate([file.digests for file in self.files])

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models.cues.Reader."""
        return model_of(self.config).read_cells(self.config, cues, self._bank)

    def _read_bank(self, bank: int) -> np.ndarray:
        return next(file for file in self.files if bank in file.banks).cells(bank)

    def documents(self) -> np.ndarray:
        """Records of all documents, (n, 4) uint64, sorted by key; see DocumentRegistry.to_array."""
        rows = np.concatenate([file.documents() for file in self.files])
        return rows[np.argsort(rows[:, 0])]

    def applied(self) -> set[str]:
        """Ids of the batches that are in the matrices of every shard."""
        return set.intersection(*(file.applied() for file in self.files))

    def load_into(self, shard: Shard) -> None:
        """Fill an empty shard of the same config with the banks that it owns."""
        for file in self.files:
            file.load_into(shard)

    def add_into(self, shard: Shard) -> None:
        """Add to a shard, of any number of banks, what the memory holds for its banks."""
        for file in self.files:
            file.add_into(shard)

    def verify(self) -> None:
        """Check every byte."""
        for file in self.files:
            file.verify()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()
