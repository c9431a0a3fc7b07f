"""Deltas: by how much counts of associations change, and which associations come and go by that.

Covers: making them of what is held and what is new, as a column of small numbers. Does not cover: their files
(files/segment_writer.py, files/segment_reader.py), what is held (ledger.py).

A matrix holds an association once however often it is counted, so of a change it needs to know the *flips*: +1 where
an association becomes held, -1 where it ceases to be. They are found once, beside what was held at that time.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.errors import CountOverflowError
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.ledger import NO_ENTRIES, Entries, merged_in_one_pass

_MOST = 1 << 30  # a change by so much, or more, does not fit its code
_KINDS = 4  # of a change by one: comes, goes, counts more, counts less


@dataclass(frozen=True)
class Deltas:
    """Changes of counts.

    Attributes:
        entries: sorted and distinct; counts are int64, and none is 0.
        flips: (n,) int8, +1 where an association becomes held, -1 where it ceases to be, else 0.
    """

    entries: Entries
    flips: np.ndarray

    def __len__(self) -> int:
        return len(self.entries)

    def flipped(self, sign: int) -> Associations:
        """The associations that come (1) or go (-1)."""
        rows = self.flips == sign
        return Associations(self.entries.names[rows], self.entries.tokens[rows])

    def coded(self) -> Entries:
        """As entries whose counts are codes, 1 or more, the commonest the least.

            code = 1 + 4 (|delta| - 1) + 2 [no flip] + [delta < 0]

        Raises:
            CountOverflowError: a count changes by 2^30 or more.
        """
        sizes = np.abs(self.entries.counts)
        if len(sizes) and int(sizes.max()) >= _MOST:
            raise CountOverflowError(f"an association's count changes by {int(sizes.max()):,}; at most 2^30 - 1 can be")
        codes = 1 + _KINDS * (sizes - 1) + 2 * (self.flips == 0) + (self.entries.counts < 0)
        return Entries(self.entries.names, self.entries.tokens, codes.astype(np.uint32))

    @classmethod
    def of_codes(cls, coded: Entries) -> "Deltas":
        """What `coded` gave."""
        codes = coded.counts.astype(np.int64) - 1
        signs = 1 - 2 * (codes & 1)
        flips = np.where(codes & 2, 0, signs).astype(np.int8)
        return cls(Entries(coded.names, coded.tokens, (codes // _KINDS + 1) * signs), flips)


NO_DELTAS = Deltas(
    Entries(NO_ENTRIES.names, NO_ENTRIES.tokens, NO_ENTRIES.counts.astype(np.int64)), np.zeros(0, np.int8)
)


def changed(held: Entries, news: Entries) -> tuple[Entries, Deltas]:
    """What is held after news, and the news as deltas.

    Args:
        held: sorted and distinct. news: likewise, with signed int64 counts.

    Raises:
        NotMemorizedError: a count would fall below zero. CountOverflowError: see `ledger.summed`.
    """
    kept, change = merged_in_one_pass(held, news)
    flips = np.zeros(len(news), np.int8)
    flips[_rows(news, change.added)] = 1
    flips[_rows(news, change.removed)] = -1
    return kept, Deltas(news, flips)


def _rows(entries: Entries, some: Associations) -> np.ndarray:
    """Where associations, all of them among sorted entries, stand in these."""
    rows = np.asarray(np.searchsorted(entries.names, some.names))
    while len(wrong := np.flatnonzero(entries.tokens[rows] != some.tokens)):  # two that share a 64-bit name
        rows[wrong] += 1
    return rows
