"""What a shard's banks hold: hashed.py (preset text), projected.py (preset paper), one protocol (protocol.py)."""

from pathlib import Path
from types import ModuleType

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.contents.hashed import HashedContents
from memo_dist.contents.projected import ProjectedContents
from memo_dist.contents.protocol import Contents

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
