"""Bank assignment: which bank a window belongs to, by its hash alone.

Covers: the bank of a hash, the names at which a bank begins. Does not cover: the names themselves (associations.py),
which shard owns a bank (cluster/placement.py).

Banks are equal ranges of the high half of the hash. So names, which keep that half, sort by bank for any number of
banks, and another number of banks needs nothing but the ledger.
"""

from memo_dist.device.backend import Array, namespace


def bank_of(hashes: Array, num_banks: int) -> Array:
    """bank(w) = floor(high32(w) * G / 2**32), (n,) int64: even load, and monotone in w."""
    xp = namespace(hashes)
    return (((hashes >> xp.uint64(32)) * xp.uint64(num_banks)) >> xp.uint64(32)).astype(xp.int64)


def bank_edge(bank: int, num_banks: int) -> int:
    """The smallest name that can belong to `bank`; for bank = G, 2**64."""
    return -(-bank * 2**32 // num_banks) << 32
