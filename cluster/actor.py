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
from memo_dist.shard import Applied, Shard


@dataclass(frozen=True, kw_only=True)
class ShardSpec:
    """How to make a shard: its config, banks, limits, device.

    Attributes:
        first_bank, stop_bank: the banks owned.
        buffer: associations that are collected before they are merged.
        max_associations: more are refused; None: no limit.
        expected: associations to size the ledger's parts by.
        threads: of numerical libraries.
        scratch: directory for banks and ledger; None: they are in memory.
    """

    config: MemoryConfig
    first_bank: int
    stop_bank: int
    tokenizer_hash: str
    buffer: int
    max_associations: int | None
    expected: int
    device: str = "cpu"
    threads: int = 1
    scratch: str | None = None


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
            tokenizer_hash=spec.tokenizer_hash,
            room=ShardRoom(
                buffer=spec.buffer,
                max_associations=spec.max_associations,
                expected=spec.expected,
                xp=array_module(spec.device),
                scratch=None if spec.scratch is None else Path(spec.scratch),
            ),
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

    def peak_bytes(self) -> int:
        """The process's largest resident set so far."""
        return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """This process's largest resident set, as the kernel accounts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
