"""SegmentReader: one file of a segment, read bank by bank.

Covers: opening and checking it, its deltas. Does not cover: writing one (segment_writer.py), what a shard file is
together with its segments (segmented_shard.py).

A segment is small beside its memory: the whole file is compared with the manifest when something of it is first asked.
"""

from functools import cached_property

import h5py
import numpy as np

from memo_dist.durable import file_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import Extents, naming_damage
from memo_dist.files.format import DOCUMENT, LARGEST_DOCUMENT, NEXT, segment_attributes
from memo_dist.files.ledger_reader import LedgerReader
from memo_dist.files.shard_reader import ShardReader
from memo_dist.models.text.deltas import Deltas


class SegmentReader(ShardReader):
    """Reads one file of a segment: `digests` are those of its banks with this segment; see ShardReader.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    _attributes = staticmethod(segment_attributes)

    def _open_contents(self) -> None:
        """Nothing yet: of many segments few may be asked."""

    @cached_property
    def _deltas(self) -> tuple[LedgerReader, LedgerReader]:
        """Next tokens, and anchors, of a file that is known to be this memory's."""
        self._require_bytes()
        largest, numbers = self.config.vocab_size, self.config.num_banks
        with naming_damage(self.path), h5py.File(self.path, "r") as opened:
            extents = Extents(self.path, opened)
            self._more = extents
            return (
                LedgerReader(extents, NEXT, banks=self.banks, num_banks=numbers, largest=largest),
                LedgerReader(extents, DOCUMENT, banks=self.banks, num_banks=numbers, largest=LARGEST_DOCUMENT),
            )

    def following(self, banks: range) -> Deltas:
        """By how much counts of (window, next token) pairs of some of its banks change."""
        return self._of(0, banks)

    def anchoring(self, banks: range) -> Deltas:
        """By how much counts of (window, document) pairs of some of its banks change."""
        return self._of(1, banks)

    @property
    def rows(self) -> np.ndarray:
        """(banks + 1,) int64: where each bank's deltas of next tokens begin, and where the last one's end."""
        return self._deltas[0].rows

    def _of(self, kind: int, banks: range) -> Deltas:
        start, stop = banks.start - self.banks.start, banks.stop - self.banks.start
        return Deltas.of_codes(self._deltas[kind].entries(start, stop))

    def verify(self) -> None:
        """Check the whole file against the manifest, and that what it says can be read."""
        self._require_bytes()
        self.documents.verify()
        self.applied()
        self.following(self.banks)
        self.anchoring(self.banks)

    def close(self) -> None:
        """Let go of the file."""
        super().close()
        if "_deltas" in self.__dict__:
            self._more.close()

    def _require_bytes(self) -> None:
        if file_digest(self.path) != self.record.blake2b:
            raise DamagedMemoryError(
                f"{self.path} does not match the manifest's checksum; restore it from a copy or build again"
            )
