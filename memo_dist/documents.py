"""DocumentRegistry: which documents were memorized, as sums that do not depend on order or on how they were cut.

Covers: counting documents and tokens, and recognising a document that is to be forgotten. Does not cover: their text.

A document's fingerprint is sum_p mix64(id + sum_j m_j x_(p-j)), j = 0..3, over its tokens and its end, modulo 2**64:
the parts of a document memorized in any order add up to the fingerprint of the whole, wherever it was cut.
32 bytes a document on disk.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.codes import MASK_64, mix64
from memo_dist.segments import Segment

_STEPS = (0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3)


@dataclass(frozen=True)
class DocumentRecord:
    """What the registry holds of one document id: tokens, fingerprint, and how many documents began under the id."""

    tokens: int
    fingerprint: int
    begun: int


def document_key(document_id: str) -> int:
    """The 64-bit name of a document id; it also decides which shard keeps the record."""
    return int.from_bytes(hashlib.blake2b(document_id.encode(), digest_size=8).digest(), "little")


def record_of(key: int, segment: Segment, end_of_document: int) -> DocumentRecord:
    """What one segment adds to its document's record."""
    end = [end_of_document] if segment.ends else []
    targets = np.concatenate([segment.tokens, np.array(end, np.uint32)])
    before = segment.context[-3:]
    padding = np.zeros(3 - len(before), np.uint64)
    line = np.concatenate([padding, before.astype(np.uint64) + np.uint64(1), targets.astype(np.uint64) + np.uint64(1)])
    terms = np.full(len(targets), key, np.uint64)
    for back, step in enumerate(_STEPS):
        terms += line[3 - back : 3 - back + len(targets)] * np.uint64(step)
    return DocumentRecord(len(segment.tokens), int(mix64(terms).sum(dtype=np.uint64)), int(segment.start == 0))


class DocumentRegistry:
    """Records by document key. Addition and subtraction are exact inverses."""

    def __init__(self) -> None:
        self._records: dict[int, DocumentRecord] = {}

    def __len__(self) -> int:
        """The number of documents held."""
        return sum(record.begun for record in self._records.values())

    @property
    def num_tokens(self) -> int:
        return sum(record.tokens for record in self._records.values())

    def items(self) -> Iterator[tuple[int, DocumentRecord]]:
        yield from self._records.items()

    def get(self, key: int) -> DocumentRecord | None:
        return self._records.get(key)

    def add(self, key: int, record: DocumentRecord) -> None:
        """Add to what is recorded under a key; a record that becomes empty is dropped."""
        self._change(key, record, 1)

    def subtract(self, key: int, record: DocumentRecord) -> None:
        """The exact inverse of `add`."""
        self._change(key, record, -1)

    def _change(self, key: int, record: DocumentRecord, sign: int) -> None:
        old = self._records.get(key, DocumentRecord(0, 0, 0))
        new = DocumentRecord(
            old.tokens + sign * record.tokens,
            (old.fingerprint + sign * record.fingerprint) & MASK_64,
            old.begun + sign * record.begun,
        )
        if new == DocumentRecord(0, 0, 0):
            self._records.pop(key, None)
        else:
            self._records[key] = new

    def to_array(self) -> np.ndarray:
        """(n, 4) uint64, sorted by key: key, tokens, fingerprint, begun."""
        rows = sorted((key, r.tokens, r.fingerprint, r.begun) for key, r in self._records.items())
        return np.array(rows, dtype=np.uint64).reshape(-1, 4)

    @classmethod
    def from_array(cls, rows: np.ndarray) -> "DocumentRegistry":
        registry = cls()
        for key, tokens, fingerprint, begun in rows.tolist():
            registry._records[key] = DocumentRecord(tokens, fingerprint, begun)
        return registry
