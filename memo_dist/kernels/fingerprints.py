"""Fingerprints: polynomial hashes of runs of tokens modulo 2**61 - 1, a batch of runs in one pass.

Covers: NumPy arrays. Does not cover: what a fingerprint is for, and the plain form that this must equal
(memo_dist/fingerprints.py).

Constants come as arguments: numba keeps what it compiled until this file changes, whatever others do.
"""

import numpy as np

from memo_dist.kernels import compiled


@compiled
def run_fingerprints(
    tokens: np.ndarray, offsets: np.ndarray, bases: np.ndarray, step: np.uint64, values: np.ndarray
) -> None:
    """values[r] = sum_i symbol(t_i) bases[r]^(n - 1 - i) mod 2**61 - 1 over the n tokens of run r.

    Args:
        tokens: (n,) uint32, the runs end to end. offsets: (r + 1,) int64, where they begin.
        bases: (r,) uint64 below 2**61 - 1. step: what is added to a token before it is mixed into its symbol.
        values: (r,) uint64, filled.
    """
    for run in range(len(bases)):
        base, value = bases[run], np.uint64(0)
        for i in range(offsets[run], offsets[run + 1]):
            value = _reduced(_product(value, base) + _reduced(_mixed(np.uint64(tokens[i]) + step)))
        values[run] = value


@compiled
def _product(a: np.uint64, b: np.uint64) -> np.uint64:
    """a b for a, b < 2**61, up to multiples of 2**61 - 1; below 2**63. By halves of 32 bits, with 2**61 taken for 1."""
    half, low29, low61 = np.uint64(0xFFFFFFFF), np.uint64((1 << 29) - 1), np.uint64((1 << 61) - 1)
    a1, a0, b1, b0 = a >> np.uint64(32), a & half, b >> np.uint64(32), b & half
    middle, low = a1 * b0 + a0 * b1, a0 * b0
    high = (a1 * b1) * np.uint64(8) + (middle >> np.uint64(29)) + ((middle & low29) << np.uint64(32))
    product: np.uint64 = _reduced(high) + (low >> np.uint64(61)) + (low & low61)
    return product


@compiled
def _reduced(x: np.uint64) -> np.uint64:
    """x modulo 2**61 - 1."""
    prime = np.uint64((1 << 61) - 1)
    x = (x & prime) + (x >> np.uint64(61))
    return x - prime if x >= prime else x


@compiled
def _mixed(x: np.uint64) -> np.uint64:
    """codes.mix64 of one word."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
