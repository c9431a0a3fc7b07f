"""What contents hold, as plain rows and arrays, for the suites beside this file.

Covers: ledger, anchors, cells. Does not cover: how contents are made (makers.py).
"""

import numpy as np

from memo_dist.device.backend import to_host
from memo_dist.models.contents import Contents
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT
from memo_dist.models.text.ledger import NO_ENTRIES, Entries

Rows = list[tuple[int, int, int]]


def ledger_of(held: Contents) -> list[Entries]:
    """The parts of the ledger, in order; none where the model keeps no ledger."""
    return [] if held.with_ledger is None else list(held.with_ledger.entries())


def anchors_of(held: Contents) -> list[Entries]:
    """The parts of the ledger of anchors."""
    return [] if held.with_ledger is None else list(held.with_ledger.anchor_entries())


def counts_of(held: Contents) -> Rows:
    """(window hash, token, count) of the ledger, in its order."""
    return [row for part in ledger_of(held) for row in _rows(part, TOKEN_SALT)]


def anchor_counts_of(held: Contents) -> Rows:
    """(window hash, document, count) of the anchors, in their order."""
    return [row for part in anchors_of(held) for row in _rows(part, DOCUMENT_SALT)]


def _rows(part: Entries, salt: int) -> Rows:
    columns = (part.associations.hashes_with(salt), part.tokens, part.counts)
    return list(zip(*(to_host(column).tolist() for column in columns), strict=True))


def in_one(parts: list[Entries]) -> Entries:
    """Entries in one piece."""
    some = [NO_ENTRIES, *parts]
    return Entries(*(np.concatenate([getattr(p, name) for p in some]) for name in ("names", "tokens", "counts")))


def cells_of(held: Contents) -> np.ndarray:
    """(len(banks), *bank_shape)."""
    return to_host(held.read_banks(0, len(held.banks)))
