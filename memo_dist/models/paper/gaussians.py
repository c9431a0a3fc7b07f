"""Gaussians: the random matrices of the paper's memory, drawn from a name.

Covers: the draws. Does not cover: what is made of them (encoder.py).
"""

import hashlib
import math

import numpy as np


def gaussian(
    seed: int, layer: int, name: str, *, shape: tuple[int, ...], variance: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Independent N(0, variance) draws, float32, named by (seed, layer, name).

    Drawn on the host whatever the device, so that CPU and GPU hold the same. The generator is Philox; which normals it
    gives may change between versions of NumPy, so a stored memory keeps a hash of its first draws (`codes_digest`).
    `out`, if given, is filled; it must be C-contiguous.
    """
    key = hashlib.blake2b(f"{seed}/{layer}/{name}".encode(), digest_size=16).digest()
    draws = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
    values = draws.standard_normal(shape, dtype=np.float32, out=out)
    values *= np.float32(math.sqrt(variance))
    return values


def codes_digest(seed: int) -> str:
    """A hash of the first draws: equal where this version of NumPy draws the same codes."""
    first = gaussian(seed, 0, "E", shape=(1 << 12,), variance=1.0)
    return hashlib.blake2b(first.tobytes(), digest_size=16).hexdigest()
