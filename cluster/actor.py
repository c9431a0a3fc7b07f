"""ShardActor: a Shard in a Ray process. A thin adapter: every decision is in memo_dist.shard.

Covers: calls and their arguments, thread limits, peak memory. Does not cover: placement (placement.py).
"""

import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from memo_dist.device.backend import array_module
from memo_dist.files.manifest import ShardRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.followers import Followers
from memo_dist.shard import Applied, Shard
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ShardSpec:
    """How to make a shard: its config, banks, limits, device.

    Attributes:
        first_bank, stop_bank: the banks owned.
        tokenizer: with which batches must be made; None takes any.
        threads: of numerical libraries.
    """

    config: MemoryConfig
    first_bank: int
    stop_bank: int
    tokenizer: Tokenizer | None
    device: str = "cpu"
    threads: int = 1


class ShardActor:
    """Owns one shard. Methods run one at a time, in the order in which they were called.

    Args:
        spec: the shard to make.
    """

    def __init__(self, spec: ShardSpec) -> None:
        threadpool_limits(spec.threads)
        self._shard = Shard(
            spec.config,
            range(spec.first_bank, spec.stop_bank),
            tokenizer=spec.tokenizer,
            room=ShardRoom(xp=array_module(spec.device)),
        )

    def ready(self, path: str | None = None) -> None:
        """Return once it is up, filled from a memory directory if one is given; errors say what is wrong with that."""
        if path is not None:
            with open_memory(path) as memory:
                memory.require_working().load_into(self._shard)

    def memorize(self, batch: pa.Table) -> Applied:
        """Take a batch in, once; see Shard.memorize_batch."""
        return self._shard.memorize_batch(batch)

    def forget(self, batch: pa.Table) -> Applied:
        """Take what a batch holds out, once; that it is held is the caller's to know."""
        return self._shard.forget_contents_of(batch)

    def write(self, path: str) -> tuple[ShardRecord, np.ndarray]:
        """Write the shard's file."""
        return write_shard(self._shard, Path(path))

    def merge(self, path: str) -> None:
        """Add what a memory directory, of any number of banks, holds for the banks owned here."""
        with open_memory(path) as memory:
            memory.require_working().add_into(self._shard)

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """Answer the cues that fall to this shard, one vector for each; see Shard.retrieve."""
        return self._shard.retrieve(part)

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each window that falls to this shard; see Shard.followers."""
        return self._shard.followers(hashes)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents that each window which falls to this shard is an anchor of; see Shard.documents_at."""
        return self._shard.documents_at(hashes)

    def token_counts(self) -> np.ndarray | None:
        """Associations held of each next token; see Contents.token_counts."""
        return self._shard.token_counts()

    def peak_bytes(self) -> int:
        """The process's largest resident set so far."""
        return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """This process's largest resident set, as the kernel accounts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
