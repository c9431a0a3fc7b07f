"""Sampling positions and prompts from a stream of batches, and counting how often contexts occur in one.

Covers: what evaluation needs of a corpus, in one pass each and with memory that depends on the sample alone.
Does not cover: recall. Contexts are named by a hash of their own here, independent of the memory's encoder.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from memo_dist.batches import read_batch
from memo_dist.document_parts import document_key
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.codes import MASK_64, mix64, mix64_int
from memo_dist.segments import Segment

BEGIN = -1  # stands before a document's first token
_LEFT, _RIGHT, _PLACE = 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5


@dataclass(frozen=True)
class Positions:
    """Sampled places: `lines` (n, before + after) int64 tokens, BEGIN-padded; the place is after column `before`."""

    lines: np.ndarray
    before: int

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def following(self) -> np.ndarray:
        """(n, after): the true continuation."""
        return self.lines[:, self.before :]

    def contexts(self, length: int | None = None) -> list[np.ndarray]:
        """The last `length` true tokens before each place; fewer where the document begins later."""
        rows = self.lines[:, self.before - (length or self.before) : self.before]
        return [row[row != BEGIN] for row in rows]


def sample_positions(
    batches: Iterable[pa.Table],
    config: MemoryConfig,
    count: int,
    *,
    before: int,
    after: int = 1,
    full: bool = False,
    seed: int = 1,
) -> Positions:
    """A random sample of `count` places, the same whatever the batches' order and size.

    Args:
        before: tokens of context.
        after: tokens that must follow within the segment.
        full: only places with `before` tokens of context.
    """
    lines = np.empty((0, before + after), np.int64)
    ranks = np.empty(0, np.uint64)
    for document, segment in _segments(batches, config):
        known = len(segment.context)
        total = known + len(segment.tokens)
        first = max(known, before) if full else known
        places = np.arange(first, total - after + 1)
        if not len(places):
            continue
        salt = mix64_int(document_key(document) + segment.start + seed)
        rank = mix64(places.astype(np.uint64) * np.uint64(_PLACE) + np.uint64(salt))
        if len(ranks) >= count:
            low = rank < ranks[-1]
            places, rank = places[low], rank[low]
        # no more than `count` of one segment can stay
        chosen = np.argsort(rank)[:count]
        line = np.concatenate([np.full(before, BEGIN), segment.context, segment.tokens]).astype(np.int64)
        columns = places[chosen][:, None] + np.arange(before + after)[None, :]
        lines = np.concatenate([lines, line[columns]])
        ranks = np.concatenate([ranks, rank[chosen]])
        best = np.argsort(ranks, kind="stable")[:count]
        lines, ranks = lines[best], ranks[best]
    return Positions(lines, before)


def context_names(line: np.ndarray, length: int) -> np.ndarray:
    """64-bit names of all windows of `length` in a line of token ids: (n,) -> (n - length + 1,) uint64."""
    level = mix64(line.astype(np.int64).view(np.uint64) + np.uint64(_PLACE))
    name = np.zeros(0, np.uint64)
    size, covered = 1, 0
    while True:
        if length & size:
            if covered == 0:
                name = level
            else:
                usable = min(len(name), len(level) - covered)
                name = _joined(name[:usable], level[covered : covered + usable])
            covered += size
        if covered == length:
            return name[: max(0, len(line) - length + 1)]
        level = _joined(level[:-size], level[size:]) if len(level) > size else level[:0]
        size *= 2


def _joined(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(mix64(left * np.uint64(_LEFT & MASK_64) + right * np.uint64(_RIGHT)))


def count_following(
    batches: Iterable[pa.Table], config: MemoryConfig, names: np.ndarray, *, length: int
) -> dict[int, Counter[int]]:
    """How often each token follows each named context of `length` tokens, counted over a corpus.

    Places nearer to a document's beginning than `length` have BEGIN-padded contexts.
    """
    wanted = np.unique(names)
    found: dict[int, Counter[int]] = {int(name): Counter() for name in wanted}
    for _, segment in _segments(batches, config):
        known = len(segment.context)
        line = np.concatenate([np.full(length, BEGIN), segment.context, segment.tokens]).astype(np.int64)
        here = context_names(line, length)[known : known + len(segment.tokens)]
        place = np.minimum(np.searchsorted(wanted, here), len(wanted) - 1)
        hits = np.flatnonzero(wanted[place] == here) if len(wanted) else np.zeros(0, np.int64)
        for name, token in zip(here[hits].tolist(), segment.tokens[hits].tolist(), strict=True):
            found[name][token] += 1
    return found


def _segments(batches: Iterable[pa.Table], config: MemoryConfig) -> Iterator[tuple[str, Segment]]:
    for batch in batches:
        yield from read_batch(batch, config)
