"""An association is a pair (64-bit window hash, token id); this file gives it one sortable 64-bit name.

Covers: the name and its inverse. Does not cover: which bank an association belongs to (bank_assignment.py), which
associations are held (ledger.py).

The name keeps the high 32 bits of the window hash and folds the token into the low 32, so sorting by name sorts by
bank for every number of banks. Two different associations share a name with probability 2**-64; the ledger compares
tokens as well, so even then it stays exact.
"""

from dataclasses import dataclass

from memo_dist.device.backend import Array, namespace
from memo_dist.models.text.codes import mix64

TOKEN_SALT = 0x6E657874  # "next"


@dataclass(frozen=True)
class Associations:
    """Parallel arrays: `names` (n,) uint64 and `tokens` (n,) uint32."""

    names: Array
    tokens: Array

    def __len__(self) -> int:
        return len(self.names)

    @property
    def hashes(self) -> Array:
        """The window hashes, (n,) uint64."""
        return self.names ^ _token_fold(self.tokens)


def associate(hashes: Array, tokens: Array) -> Associations:
    """Pair window hashes (n,) uint64 with their next tokens (n,) uint32."""
    return Associations(hashes ^ _token_fold(tokens), tokens)


def _token_fold(tokens: Array) -> Array:
    xp = namespace(tokens)
    return mix64(tokens.astype(xp.uint64) + xp.uint64(TOKEN_SALT)) >> xp.uint64(32)
