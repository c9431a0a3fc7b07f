"""An association is a window with what belongs to it, a next token or a document; this file gives it a 64-bit name.

Covers: the names and their inverse, the two kinds of association. Does not cover: which bank an association belongs to
(bank_assignment.py), which associations are held (ledger.py).

The name keeps the high 32 bits of the window hash and folds the token into the low 32, so sorting by name sorts by
bank for every number of banks. Two different associations share a name with probability 2**-64; the ledger compares
tokens as well, so even then it stays exact.
"""

from dataclasses import dataclass

from memo_dist.device.backend import Array, namespace
from memo_dist.models.text.codes import mix64

TOKEN_SALT = 0x6E657874  # "next"
DOCUMENT_SALT = 0x616E63686F72  # "anchor"


@dataclass(frozen=True)
class Associations:
    """Parallel arrays: `names` (n,) uint64 and `tokens` (n,) uint32.

    Of anchors, `tokens` are the low halves of documents' keys, and names are folded with DOCUMENT_SALT."""

    names: Array
    tokens: Array

    def __len__(self) -> int:
        return len(self.names)

    @property
    def hashes(self) -> Array:
        """The window hashes, (n,) uint64."""
        return self.hashes_with(TOKEN_SALT)

    def hashes_with(self, salt: int) -> Array:
        """The window hashes, of the kind of association that `salt` stands for."""
        return self.names ^ _fold(self.tokens, salt)


def associate(hashes: Array, tokens: Array, salt: int = TOKEN_SALT) -> Associations:
    """Pair window hashes (n,) uint64 with their next tokens, or documents, (n,) uint32."""
    return Associations(hashes ^ _fold(tokens, salt), tokens)


def _fold(tokens: Array, salt: int) -> Array:
    xp = namespace(tokens)
    return mix64(tokens.astype(xp.uint64) + xp.uint64(salt)) >> xp.uint64(32)
