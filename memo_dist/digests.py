"""Digests of arrays: BLAKE2b over their bytes, the same whatever device holds them."""

import hashlib

import numpy as np

from memo_dist.device.backend import Array, to_host


def array_digest(*arrays: Array) -> np.ndarray:
    """BLAKE2b-128 of the arrays' bytes, (16,) uint8."""
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        host = np.ascontiguousarray(to_host(array))
        state.update(host.view(np.uint8).data if host.size else b"")
    return np.frombuffer(state.digest(), np.uint8)


def hex_digest(*arrays: np.ndarray) -> str:
    """BLAKE2b-128 of the arrays' bytes, as text."""
    return array_digest(*arrays).tobytes().hex()
