"""Ladder: which windows of which rung a solved memory needs, and what each is followed by (design-2 section 4).

Covers: windows of a batch that are still needed, the commonest token of each and whether it is the only one. Does not
cover: passes over batches (cluster/publish.py), tables (table.py).

A window of a rung is needed only where the window of the rung before it, its own end, is ambiguous: followed by more
than one token in the whole corpus. What is ambiguous at one rung is so at every shorter one, so one rung's ambiguous
windows tell which of the next are needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT, Associations, associate
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment

DEFAULT_LADDER = (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64)


@dataclass(frozen=True)
class Settled:
    """Distinct windows of a rung, rising by hash.

    Attributes:
        hashes: (n,) uint64. tokens: (n,) uint32, the commonest next one, of equally common ones the lowest id.
        ambiguous: (n,) bool: others follow it, too.
    """

    hashes: np.ndarray
    tokens: np.ndarray
    ambiguous: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)


def needed(
    segments: list[Segment], encoder: HashedEncoder, *, rung: int, ambiguous: np.ndarray | None
) -> Iterator[Associations]:
    """(window, next token) of each place of the segments where a rung's window is needed, chunk by chunk.

    Args:
        encoder: of the ladder.
        ambiguous: (k,) uint64, sorted: hashes of the rung before that are; None for the first rung.
    """
    for cues, targets in encoder.targets(segments):
        wanted = cues.filled[:, rung].copy()
        if ambiguous is not None:
            before = cues.values[wanted, rung - 1]
            wanted[wanted] = is_among(before, ambiguous)
        yield associate(cues.values[wanted, rung], targets[wanted].astype(np.uint32))


def is_among(hashes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(n,) bool: which hashes are among (k,) sorted ones."""
    if not len(among):
        return np.zeros(len(hashes), bool)
    places = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    return np.asarray(among[places] == hashes)


def anchored(segments: list[Segment], encoder: HashedEncoder, *, every: int) -> Iterator[Associations]:
    """(window, document) of each anchor of the segments, chunk by chunk; documents as low halves of their keys.

    Args:
        every: a multiple of keys.ANCHOR_EVERY; one window of so many is an anchor.
    """
    for _, anchors in encoder.kinds(segments, range(encoder.config.num_banks)):
        kept = anchors.hashes_with(DOCUMENT_SALT) % np.uint64(every) == 0
        yield Associations(anchors.names[kept], anchors.tokens[kept])


def settle(entries: Entries, *, salt: int = TOKEN_SALT) -> Settled:
    """What each window is followed by, or stands in, from all that is counted of some range of names.

    Args:
        salt: of the kind of association.
    """
    hashes = Associations(entries.names, entries.tokens).hashes_with(salt)
    order = np.lexsort((entries.tokens, -entries.counts.astype(np.int64), hashes))
    hashes = hashes[order]
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    starts = np.flatnonzero(first)
    several = np.diff(np.append(starts, len(hashes))) > 1
    return Settled(hashes[starts], entries.tokens[order][starts], several)
