"""Distributed recall: the same reads, answered by shard actors.

Covers: ClusterReader, a `Reader` over placed shards. Does not cover: continuation (memo_dist/recalling/).

Each shard gets the window hashes of a query batch and answers those whose bank it owns with one d-vector each, 4 d
bytes; the caller puts the parts together and cleans up once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import ray

from cluster.placement import Placed, place_shards, wait_until_ready
from cluster.ray_session import local_cpus, ray_session
from memo_dist.files.manifest import Manifest
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import plan_memory


class ClusterReader:
    """Reads from shard actors.

    Args:
        config: the memory's definition.
        shards: actors that together own every bank.
    """

    def __init__(self, config: MemoryConfig, shards: list[Placed]) -> None:
        self.config = config
        self._shards = shards

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see memo_dist/models/cues.py. Shards are added in order, so float32 sums repeat to the bit."""
        asked = []
        for placed in self._shards:
            rows, part = model_of(self.config).portion(self.config, cues, placed.banks)
            if len(rows):
                asked.append((rows, placed.actor.retrieve.remote(part)))
        result = np.zeros((len(cues), self.config.inner_dim), self.config.vector_type)
        for (rows, _), vectors in zip(asked, ray.get([reference for _, reference in asked]), strict=True):
            result[rows] += vectors
        return result


@contextmanager
def cluster_reader(path: Path, address: str | None, shards: int | None) -> Iterator[ClusterReader]:
    """Load a memory directory into shard actors, as many as asked for, and read from them.

    Raises:
        DamagedMemoryError: a file of the memory is not whole.
    """
    manifest = Manifest.read(path)
    count = min(shards or local_cpus(), manifest.config.num_banks)
    tokens = -(-manifest.associations // manifest.config.num_layers)
    plan = plan_memory(manifest.config, TextSize(tokens, manifest.documents), shards=count, workers=0, unit_bytes=0)
    with ray_session(address, local_cpus()):
        placed = place_shards(
            plan,
            manifest.tokenizer_hash,
            max_associations=None,
            path=str(path.absolute()),
            by_memory=address is not None,
        )
        wait_until_ready(placed)
        yield ClusterReader(manifest.config, placed)
