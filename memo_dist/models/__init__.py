"""Models: what a memory is made of. text/ (the default), paper/ (the published memory), and what they have in common.

Covers: which model a config belongs to. Does not cover: any model.
"""

from pathlib import Path
from types import ModuleType

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder
from memo_dist.models.paper.cleanup import ProjectedCleanup
from memo_dist.models.paper.contents import ProjectedContents
from memo_dist.models.paper.encoder import ProjectedEncoder
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.contents import HashedContents
from memo_dist.models.text.encoder import HashedEncoder

DEFAULT_BUFFER = 1 << 21


def contents_for(
    config: MemoryConfig,
    banks: range,
    buffer: int = DEFAULT_BUFFER,
    max_associations: int | None = None,
    expected: int = 0,
    xp: ModuleType = np,
    scratch: Path | None = None,
    device_room: float | None = None,
) -> Contents:
    """Empty contents for a range of banks; see `Shard` for the rest, which means nothing to the preset paper."""
    if config.preset == "paper":
        return ProjectedContents(config, banks, xp)
    return HashedContents(config, banks, buffer, max_associations, expected, xp, scratch, device_room)


def cleanup_for(config: MemoryConfig, encoder: Encoder | None = None) -> Cleanup:
    """The cleanup of a memory's preset, where `encoder` works; the paper's shares its vectors."""
    if config.preset == "paper":
        return ProjectedCleanup(config, encoder if isinstance(encoder, ProjectedEncoder) else None)
    return HashedCleanup(config, xp=encoder.xp if isinstance(encoder, HashedEncoder) else np)
