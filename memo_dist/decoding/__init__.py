"""Cleanup: vectors read from a memory -> tokens. hashed.py (preset text), projected.py (preset paper), one protocol."""

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.decoding.candidates import Alternative, Candidates, Cleanup
from memo_dist.decoding.hashed import HashedCleanup
from memo_dist.decoding.projected import ProjectedCleanup
from memo_dist.encoding.hashed import HashedEncoder
from memo_dist.encoding.projected import ProjectedEncoder
from memo_dist.encoding.protocol import Encoder

__all__ = ["Alternative", "Candidates", "Cleanup", "HashedCleanup", "ProjectedCleanup", "cleanup_for"]


def cleanup_for(config: MemoryConfig, encoder: Encoder | None = None) -> Cleanup:
    """The cleanup of a memory's preset, where `encoder` works; the paper's shares its vectors."""
    if config.preset == "paper":
        return ProjectedCleanup(config, encoder if isinstance(encoder, ProjectedEncoder) else None)
    return HashedCleanup(config, xp=encoder.xp if isinstance(encoder, HashedEncoder) else np)
