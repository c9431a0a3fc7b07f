"""Distributed recall: the same reads, answered by shard actors.

Covers: ClusterReader, a `Reader` over placed shards. Does not cover: continuation (memo_dist/recall.py), serving.

Each shard gets the window hashes of a query batch and answers those whose bank it owns with one d-vector each, 4 d
bytes; the caller puts the parts together and cleans up once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import ray

from cluster.placement import Placed, place_shards, wait_until_ready
from cluster.session import local_cpus, ray_session
from memo_dist.associations import bank_of
from memo_dist.config import MemoryConfig
from memo_dist.manifest import Manifest
from memo_dist.planning import LEDGER_BYTES
from memo_dist.shard import DEFAULT_BUFFER


class ClusterReader:
    """Reads from shard actors.

    Args:
        config: the memory's definition.
        shards: actors that together own every bank.
    """

    def __init__(self, config: MemoryConfig, shards: list[Placed]) -> None:
        self.config = config
        self._shards = shards

    def read(self, hashes: np.ndarray) -> np.ndarray:
        """(m,) uint64 window hashes -> (m, d) int32; see cmm.read_banks."""
        result = np.empty((len(hashes), self.config.inner_dim), np.int32)
        bank = bank_of(hashes, self.config.num_banks)
        asked = []
        for placed in self._shards:
            rows = np.flatnonzero((bank >= placed.banks.start) & (bank < placed.banks.stop))
            if len(rows):
                asked.append((rows, placed.actor.retrieve.remote(hashes[rows])))
        for (rows, _), (owned, vectors) in zip(asked, ray.get([reference for _, reference in asked]), strict=True):
            result[rows[owned]] = vectors
        return result


@contextmanager
def cluster_reader(path: Path, address: str | None, shards: int | None) -> Iterator[ClusterReader]:
    """Load a memory directory into shard actors, as many as asked for, and read from them.

    Raises:
        DamagedMemoryError: a file of the memory is not whole.
    """
    manifest = Manifest.read(path)
    count = min(shards or local_cpus(), manifest.config.num_banks)
    each = manifest.config.num_banks * manifest.config.bank_bytes // count + manifest.associations * LEDGER_BYTES
    with ray_session(address, local_cpus()):
        placed = place_shards(
            manifest.config,
            count,
            manifest.tokenizer_hash,
            bytes_each=each,
            buffer=DEFAULT_BUFFER,
            max_associations=None,
            expected=manifest.associations // count,
            path=str(path.absolute()),
            by_memory=address is not None,
        )
        wait_until_ready(placed)
        yield ClusterReader(manifest.config, placed)
