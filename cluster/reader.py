"""Distributed recall: the same reads, answered by shard actors.

Covers: ClusterReader, a `Reader` over placed shards. Does not cover: continuation (memo_dist/recalling/).

Each shard gets the window hashes of a query batch and answers those whose bank it owns with one d-vector each, 4 d
bytes; the caller puts the parts together and cleans up once.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import ray

from cluster.machine import local_cpus
from cluster.placement import Placed, place_shards, reserved_bytes, wait_until_ready
from cluster.ray_executor import RayExecutor
from cluster.ray_session import ray_session
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory, read_tokenizer
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import encoder_for, model_of
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.followers import Followers, gathered
from memo_dist.planning.memory_plan import held_bytes
from memo_dist.planning.processes import SHARD_BYTES
from memo_dist.tokenizer import Tokenizer


class ClusterReader:
    """Reads from shard actors.

    Args:
        config: the memory's definition.
        shards: actors that together own every bank.
        tokenizer: of the memory; None for bare token ids.
        path: of the memory, whose files name its documents; None: nothing names them.
    """

    def __init__(
        self,
        config: MemoryConfig,
        shards: list[Placed],
        *,
        tokenizer: Tokenizer | None = None,
        path: Path | None = None,
    ) -> None:
        self._path = path
        self.config, self.encoder = config, encoder_for(config, tokenizer)
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

    @property
    def has_ledger(self) -> bool:
        """Whether shards count associations, so that they can be read without noise."""
        return model_of(self.config).has_ledger

    @property
    def is_solved(self) -> bool:
        """No: it can be changed."""
        return False

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes; see memo_dist/models/cues.py."""
        return self._counted("followers", hashes)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents that each of (m,) window hashes is an anchor of; see memo_dist/models/cues.py."""
        return self._counted("documents_at", hashes)

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the low halves of their keys, as the memory's files say."""
        if self._path is None:
            return {}
        with open_memory(self._path) as memory:
            return memory.documents_named(low)

    def _counted(self, call: str, hashes: np.ndarray) -> Followers:
        asked = []
        for placed in self._shards:
            rows, part = model_of(self.config).portion(self.config, hashes, placed.banks)
            if len(rows):
                asked.append((rows, getattr(placed.actor, call).remote(part)))
        answers = ray.get([reference for _, reference in asked])
        return gathered([(rows, found) for (rows, _), found in zip(asked, answers, strict=True)], len(hashes))

    def token_counts(self) -> np.ndarray | None:
        """Associations held of each next token, of all shards; see memo_dist/models/cues.py."""
        counts = ray.get([placed.actor.token_counts.remote() for placed in self._shards])
        return None if any(part is None for part in counts) else np.asarray(np.sum(counts, axis=0, dtype=np.uint64))


@contextmanager
def cluster_reader(path: Path, address: str | None, shards: int | None) -> Iterator[ClusterReader]:
    """Load a memory directory into shard actors, as many as asked for, and read from them.

    Raises:
        DamagedMemoryError: a file of the memory is not whole.
    """
    manifest = Manifest.read(path)
    tokenizer = read_tokenizer(path, manifest)
    count = min(shards or local_cpus(), manifest.config.num_banks)
    tokens = -(-manifest.associations // manifest.config.num_layers)
    size = SHARD_BYTES + held_bytes(manifest.config, TextSize(tokens, manifest.documents), shards=count)
    with ray_session(address, local_cpus()):
        executor = RayExecutor()
        placed = place_shards(
            manifest.config,
            count,
            tokenizer,
            executor=executor,
            memory_bytes=reserved_bytes(size, address),
            path=str(path.absolute()),
        )
        wait_until_ready(placed, executor)
        yield ClusterReader(manifest.config, placed, tokenizer=tokenizer, path=path)
