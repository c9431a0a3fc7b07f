"""Selection: which documents of a corpus, or of kept batches, are taken.

Covers: documents by id and place. Does not cover: how they are chosen (cluster/change_selection.py).

An id alone does not say which document is meant where several have it, so a selection names places: an id together with
the source and the position at which the document was read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from memo_dist.document_parts import DocumentPart, place_key
from memo_dist.document_places import places_of
from memo_dist.segments import Origin


@dataclass(frozen=True)
class Selection:
    """Documents by place_key: those among `places` (n,) uint64, sorted, or, without `inside`, all others."""

    places: np.ndarray
    inside: bool

    @classmethod
    def of(cls, parts: Iterable[DocumentPart]) -> "Selection":
        """The documents that these are parts of."""
        return cls(np.unique(np.fromiter((place_key(p.id, p.origin) for p in parts), np.uint64)), inside=True)

    @classmethod
    def at(cls, places: np.ndarray) -> "Selection":
        """The documents of these place_keys, (n,) uint64."""
        return cls(np.unique(places), inside=True)

    def takes(self, document_id: str, origin: Origin) -> bool:
        """Whether the document of this id that was read there is taken."""
        if not len(self.places):
            return not self.inside
        return bool(self._taken(np.array([place_key(document_id, origin)], np.uint64))[0])

    def rows(self, table: pa.Table) -> np.ndarray:
        """(n,) bool: which rows of a batch are of documents that are taken."""
        return self._taken(places_of(table, "document_id"))

    def _taken(self, keys: np.ndarray) -> np.ndarray:
        if not len(self.places):
            return np.full(len(keys), not self.inside)
        nearest = self.places[np.minimum(np.searchsorted(self.places, keys), len(self.places) - 1)]
        taken: np.ndarray = (nearest == keys) == self.inside
        return taken


EVERYTHING = Selection(np.zeros(0, np.uint64), inside=False)
