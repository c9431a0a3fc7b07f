"""Fingerprints: what tells a run of tokens from every other, in order, and joins with that of the run after it.

Covers: one run in plain form, many by the kernel, joining. Does not cover: which run belongs to which document
(documents.py).

The fingerprint of tokens t_0 ... t_(n-1) is F = sum_i s(t_i) b^(n-1-i) modulo the prime p = 2**61 - 1: a polynomial in
the document's base b, which follows from its key, with mixed tokens s(t) as coefficients. So the order of all tokens
counts, and F(AB) = F(A) b^|B| + F(B): it is the same wherever a document is cut. Two texts of n tokens under one id
have the same fingerprint with probability n / p.
"""

import numpy as np

from memo_dist.models.text.codes import GOLDEN, mix64_int

PRIME = (1 << 61) - 1
_SALT = 0x66696E6765727072  # "fingerpr"


def base_of(key: int) -> int:
    """The base of a document, 2 to p - 2, from its 64-bit key."""
    return 2 + mix64_int(key ^ _SALT) % (PRIME - 3)


def plain_fingerprint(tokens: list[int], key: int) -> int:
    """The fingerprint of one run of a document's tokens, by the equation above."""
    base, value = base_of(key), 0
    for token in tokens:
        value = (value * base + mix64_int(token + GOLDEN)) % PRIME
    return value


def fingerprints(runs: list[np.ndarray], keys: list[int]) -> list[int]:
    """The fingerprint of each run, (n,) uint32 tokens of the document with the key at the same place."""
    from memo_dist.kernels.fingerprints import run_fingerprints

    offsets = np.zeros(len(runs) + 1, np.int64)
    np.cumsum([len(run) for run in runs], out=offsets[1:])
    tokens = np.concatenate([np.zeros(0, np.uint32), *runs]).astype(np.uint32, copy=False)
    bases, values = np.array([base_of(key) for key in keys], np.uint64), np.empty(len(runs), np.uint64)
    run_fingerprints(tokens, offsets, bases, np.uint64(GOLDEN), values)
    return values.tolist()


def joined(first: int, second: int, *, tokens: int, key: int) -> int:
    """F(AB) of F(A) and F(B), where B has `tokens` tokens."""
    return (first * pow(base_of(key), tokens, PRIME) + second) % PRIME
