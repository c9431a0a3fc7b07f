"""Ledger: which associations are held, and how often each was seen.

Covers: counting associations, telling which are new and which are gone, saving as plain arrays. Does not cover: the
matrices (banks.py), which are a pure function of the ledger's keys.

The ledger is three parallel arrays sorted by (name, token), cut into parts of equal name ranges. New associations are
sorted and merged part by part, so the temporary memory is that of one part and the cost is sorting plus one pass; the
parts themselves may live on disk (stores/parts.py). Because names sort by bank, every change comes out in bank order.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, namespace
from memo_dist.errors import CountOverflowError, NotMemorizedError
from memo_dist.models.text.associations import Associations
from memo_dist.stores.parts import PartStore, ResidentParts

_MAX_COUNT = 2**32 - 1
_UNUSED = 16  # at most one place in 16 of a part is left empty, to save a copy
_HELD = 1 << 40  # added to the counts of what is held already, so that one sum tells old from new


@dataclass(frozen=True)
class Entries:
    """Sorted, distinct associations with their counts (int64 while merging, uint32 at rest)."""

    names: Array
    tokens: Array
    counts: Array

    def __len__(self) -> int:
        return len(self.names)

    def slice(self, start: int, stop: int) -> "Entries":
        return Entries(self.names[start:stop], self.tokens[start:stop], self.counts[start:stop])

    def within(self, low: int, high: int) -> "Entries":
        """Those whose names lie in [low, high); of entries in NumPy arrays."""
        return self.slice(_position(self.names, low), _position(self.names, high))

    @property
    def associations(self) -> Associations:
        return Associations(self.names, self.tokens)


NO_ENTRIES = Entries(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint32))


@dataclass(frozen=True)
class Change:
    """What a merge changed in one part, in bank order: associations that became held, and that ceased to be."""

    added: Associations
    removed: Associations


class Ledger:
    """Counts of distinct associations whose names lie in [low, high).

    Args:
        low, high: the name range (`associations.bank_edge` of the banks owned).
        parts: how many equal name ranges to merge separately.
        xp: numpy or cupy.
        store: of as many parts; None keeps them in memory.
    """

    def __init__(
        self, low: int, high: int, parts: int = 1, *, xp: ModuleType = np, store: PartStore | None = None
    ) -> None:
        self.xp = xp
        self._edges = self.edges(low, high, parts)
        self._store = ResidentParts(parts, xp) if store is None else store

    def __len__(self) -> int:
        return sum(self._store.lengths)

    @staticmethod
    def edges(low: int, high: int, parts: int) -> list[int]:
        """The smallest name of every part but the first."""
        return [low + (high - low) * part // parts for part in range(1, parts)]

    def merge(self, associations: Associations, weight: int = 1) -> Iterator[Change]:
        """Count each association `weight` (+1 memorize, -1 forget) times more; yield changes in bank order.

        The iterator must be exhausted. Nothing of a part is changed if that part raises.

        Raises:
            NotMemorizedError: a count would fall below zero.
        """
        yield from self.merge_entries(counted(associations, weight))

    def merge_entries(self, news: Entries) -> Iterator[Change]:
        """As `merge`, for sorted distinct associations with counts of their own."""
        for index, (start, stop) in enumerate(self._cuts(news)):
            if start < stop:
                merged = merged_in_one_pass if self.xp is np else _merged
                kept, change = merged(Entries(*self._store.read(index)), news.slice(start, stop))
                self._store.write(index, (kept.names, kept.tokens, kept.counts))
                yield change

    def _cuts(self, entries: Entries) -> list[tuple[int, int]]:
        xp = self.xp
        inner = xp.searchsorted(entries.names, xp.asarray(self._edges, dtype=xp.uint64))
        bounds = [0, *inner.tolist(), len(entries)]
        return list(itertools.pairwise(bounds))

    def token_counts(self, size: int) -> Array:
        """(size,) uint64, how many associations have each token below `size`."""
        xp = self.xp
        counts = xp.zeros(size, xp.uint64)
        for part in self.parts():
            if len(part):  # CuPy counts nothing of nothing
                counts += xp.bincount(part.tokens, minlength=size).astype(xp.uint64)
        return counts

    def parts(self) -> Iterator[Entries]:
        """All associations held, in order, part by part, without a copy."""
        for index in range(len(self._store.lengths)):
            yield Entries(*self._store.read(index))

    def parts_of(self, hashes: np.ndarray) -> Iterator[tuple[Entries, np.ndarray]]:
        """The parts in which associations of (m,) window hashes would be, each with the rows of these hashes.

        A part begins at any name, so the associations of one window may lie in two parts; they are given as one."""
        edges = np.array([edge >> 32 << 32 for edge in self._edges], np.uint64)
        index = np.searchsorted(edges, hashes & np.uint64(2**64 - 2**32), side="right")
        for part in np.unique(index).tolist():
            rows = np.flatnonzero(index == part)
            upper = hashes[rows] >> np.uint64(32)
            yield self.between(int(upper.min()) << 32, (int(upper.max()) + 1) << 32), rows

    def between(self, low: int, high: int) -> Entries:
        """The associations whose names lie in [low, high)."""
        pieces = []
        for index in range(bisect_right(self._edges, low), bisect_left(self._edges, high) + 1):
            part = Entries(*self._store.read(index))
            start, stop = _position(part.names, low), _position(part.names, high)
            if start < stop:
                pieces.append(part.slice(start, stop))
        if len(pieces) == 1:
            return pieces[0]
        xp = self.xp
        empty = _empty(xp)
        return Entries(
            xp.concatenate([empty.names, *(p.names for p in pieces)]),
            xp.concatenate([empty.tokens, *(p.tokens for p in pieces)]),
            xp.concatenate([empty.counts, *(p.counts for p in pieces)]),
        )


def _position(names: Array, edge: int) -> int:
    if edge >= 2**64:
        return len(names)
    xp = namespace(names)
    # an array, because CuPy takes no NumPy scalar here, and a Python integer only as int64
    return int(xp.searchsorted(names, xp.asarray([edge], dtype=xp.uint64))[0])


def _empty(xp: ModuleType) -> Entries:
    return Entries(xp.zeros(0, xp.uint64), xp.zeros(0, xp.uint32), xp.zeros(0, xp.uint32))


def counted(associations: Associations, weight: int = 1) -> Entries:
    """Distinct associations, sorted by (name, token), each counted `weight` times its occurrences."""
    if namespace(associations.names) is np:
        from memo_dist.kernels.runs import count_runs

        names, tokens, counts = room = _room(len(associations))
        distinct = count_runs(associations.names, associations.tokens, weight, *room)
        if distinct >= 0:
            return Entries(names, tokens, counts).slice(0, distinct)
    xp = namespace(associations.names)
    ones = xp.full(len(associations), weight, xp.int64)
    return _grouped(associations.names, associations.tokens, ones, presorted=False)


def summed(parts: list[Entries]) -> Entries:
    """The sum of entries with int64 counts, each sorted: sorted, distinct, without those whose counts add up to 0.

    Raises:
        NotMemorizedError: a count is below 0. CountOverflowError: one is more than the ledger counts.
    """
    total = net(parts)
    _raise(bool((total.counts < 0).any()), bool((total.counts > _MAX_COUNT).any()))
    return Entries(total.names, total.tokens, total.counts.astype(np.uint32))


def net(parts: list[Entries]) -> Entries:
    """As `summed`, of which counts may be below 0; int64."""
    from memo_dist.kernels.runs import sum_runs

    if not parts:
        return Entries(NO_ENTRIES.names, NO_ENTRIES.tokens, NO_ENTRIES.counts.astype(np.int64))
    names, tokens, counts = (np.concatenate(columns) for columns in zip(*map(_columns, parts), strict=True))
    to = _room(len(names))
    distinct = sum_runs(names, tokens, counts, *to)
    if distinct < 0:  # two associations share a 64-bit name
        whole = _grouped(names, tokens, counts, presorted=False)
        stays = whole.counts != 0
        return Entries(whole.names[stays], whole.tokens[stays], whole.counts[stays])
    return Entries(*to).slice(0, distinct)


def _columns(entries: Entries) -> tuple[Array, Array, Array]:
    return entries.names, entries.tokens, entries.counts


def _room(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.empty(size, np.uint64), np.empty(size, np.uint32), np.empty(size, np.int64)


def merged_in_one_pass(held: Entries, news: Entries) -> tuple[Entries, Change]:
    """What is held with signed news added, and what came and went, for NumPy; both sorted and distinct.

    Raises:
        NotMemorizedError, CountOverflowError: see `summed`.
    """
    from memo_dist.kernels.runs import BELOW_ZERO, TOO_MANY, merge_runs

    size, most = len(held) + len(news), len(news)
    kept = Entries(np.empty(size, np.uint64), np.empty(size, np.uint32), np.empty(size, np.uint32))
    added, gone = (Associations(np.empty(most, np.uint64), np.empty(most, np.uint32)) for _ in range(2))
    runs = (held.names, held.tokens, held.counts, news.names, news.tokens, news.counts)
    to = (kept.names, kept.tokens, kept.counts, added.names, added.tokens, gone.names, gone.tokens)
    stay, come, go, error = merge_runs(*map(np.asarray, runs), _MAX_COUNT, *to)
    _raise(error == BELOW_ZERO, error == TOO_MANY)
    whole = kept.slice(0, stay)
    if size - stay > size // _UNUSED:
        whole = Entries(whole.names.copy(), whole.tokens.copy(), whole.counts.copy())
    return whole, Change(
        Associations(added.names[:come], added.tokens[:come]), Associations(gone.names[:go], gone.tokens[:go])
    )


def _raise(below_zero: bool, too_many: bool) -> None:
    if below_zero:
        raise NotMemorizedError("an association to forget was never memorized; nothing of this part was changed")
    if too_many:
        raise CountOverflowError(
            f"an association was seen more than {_MAX_COUNT:,} times, the most that the ledger counts; leave out "
            "documents that repeat it"
        )


def _grouped(names: Array, tokens: Array, counts: Array, *, presorted: bool) -> Entries:
    """Sort by (name, token) and add up the counts of equal associations.

    `presorted`: the arrays are a few sorted runs, which a stable sort merges in one pass.
    """
    xp = namespace(names)
    if not len(names):
        return Entries(names, tokens, counts)
    order = xp.argsort(names, kind="stable") if presorted and xp is np else xp.argsort(names)
    named, tokened = names[order], tokens[order]
    first = xp.ones(len(names), dtype=bool)
    first[1:] = named[1:] != named[:-1]
    clash = ~first[1:] & (tokened[1:] != tokened[:-1])
    if bool(clash.any()):  # two associations share a 64-bit name: order them by token as well
        order = xp.lexsort(xp.stack([tokens.astype(xp.uint64), names]))
        named, tokened = names[order], tokens[order]
        first[1:] = (named[1:] != named[:-1]) | (tokened[1:] != tokened[:-1])
    starts = xp.flatnonzero(first)
    running = xp.cumsum(counts[order], dtype=xp.int64)
    last = xp.concatenate([starts[1:], xp.asarray([len(names)])]) - 1
    totals = running[last]
    totals[1:] -= running[last[:-1]]
    return Entries(named[starts], tokened[starts], totals)


def _merged(held: Entries, news: Entries) -> tuple[Entries, Change]:
    xp = namespace(held.names)
    total = _grouped(
        xp.concatenate([held.names, news.names]),
        xp.concatenate([held.tokens, news.tokens]),
        xp.concatenate([held.counts.astype(xp.int64) + _HELD, news.counts]),
        presorted=True,
    )
    known = total.counts > _HELD // 2
    counts = total.counts - known.astype(xp.int64) * _HELD
    _raise(bool((counts < 0).any()), bool((counts > _MAX_COUNT).any()))
    stays = counts > 0
    kept = Entries(total.names[stays], total.tokens[stays], counts[stays].astype(xp.uint32))
    appears, ceases = stays & ~known, ~stays & known
    added = Associations(total.names[appears], total.tokens[appears])
    return kept, Change(added, Associations(total.names[ceases], total.tokens[ceases]))
