"""Encoders: tokens -> cues. hashed.py (preset text), projected.py (preset paper), one protocol."""

from types import ModuleType

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.encoding.hashed import HashedEncoder
from memo_dist.encoding.projected import ProjectedEncoder
from memo_dist.encoding.protocol import Encoder


def encoder_for(config: MemoryConfig, xp: ModuleType = np) -> Encoder:
    """The encoder of a memory's preset."""
    return ProjectedEncoder(config, xp=xp) if config.preset == "paper" else HashedEncoder(config, xp)
