"""Verifying: every byte of a memory against its manifest, range by range.

Covers: ranges one by one, the digest over all of them. Does not cover: checking one (part.py), who does it where
(cluster/by_file.py), memories without ranges, which are checked in one piece.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory, read_tokenizer
from memo_dist.ranges.part import MemoryPart
from memo_dist.ranges.plan import RangePlan
from memo_dist.shard import memory_digest
from memo_dist.threads import in_threads

Each = Callable[[Callable[[int], Any], int], list[Any]]


def in_turn_here(task: Callable[[int], Any], count: int) -> list[Any]:
    """What a task makes of each number, in threads of this process."""
    return in_threads(task, range(count))


def verify_by_range(path: Path, *, each: Each = in_turn_here) -> Manifest:
    """Check every byte of a memory.

    Args:
        each: gives what a function, which can be pickled, makes of the numbers up to a count, in order.

    Raises:
        DamagedMemoryError: naming the file at fault.
    """
    manifest = Manifest.read(path)
    try:
        plan = RangePlan.of(manifest)
    except ConfigError:
        with open_memory(path) as memory:
            memory.verify()
        return manifest
    read_tokenizer(path, manifest)
    found = each(partial(_verified, str(path.absolute())), len(plan))
    if memory_digest(manifest.config, manifest.tokenizer_hash, plan.joined(found)) != manifest.digest:
        raise DamagedMemoryError(f"{path}: its files together do not give the digest in {MANIFEST_FILE}")
    return manifest


def _verified(path: str, index: int) -> Any:
    """The digests of a range, every byte of which is as it should be."""
    manifest, asked = Manifest.read(Path(path)), np.array([index])
    part = MemoryPart(Path(path), manifest, [index])
    part.verify(asked)
    (digests,) = part.digests(asked)
    return digests
