"""Walk: up the rungs of a ladder, from the shortest window on, to the first that decides what follows.

Covers: what a walk tells of each place, the tables that it asks, wherever they lie. Does not cover: the compiled pass
(kernels/ladder.py), files (files/solved_reader.py), what is made of it (recalling/walking.py).

    the check fails at the first rung                              NOT_HELD
    a window whose token is the only one                           SURE: that token, at that rung
    an ambiguous one, and the next is filled, but not held         LEFT: its commonest token; the place left the memory
    an ambiguous one, and no longer one is filled                  OPEN: its commonest token, one of several
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from memo_dist.models.cues import Cues
from memo_dist.solved.values import ValueLayout

if TYPE_CHECKING:
    from memo_dist.solved.device_tables import DeviceTables

PLACES = 11


class State(IntEnum):
    """How a walk ended."""

    NOT_HELD, SURE, LEFT, OPEN = range(4)


@dataclass(frozen=True)
class Walked:
    """What is told of n places.

    Attributes:
        states: (n,) uint8, of State. rungs: (n,) int64, that said the token; -1 where nothing is held.
        tokens: (n,) int64; V is "end of document"; -1 where nothing is held.
        asked: (n,) bool: the first rung is filled.
    """

    states: np.ndarray
    rungs: np.ndarray
    tokens: np.ndarray
    asked: np.ndarray

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: slice) -> "Walked":
        return Walked(self.states[rows], self.rungs[rows], self.tokens[rows], self.asked[rows])

    @classmethod
    def joined(cls, parts: Sequence["Walked"]) -> "Walked":
        """What is told of the places of several, one behind the other."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def held(self) -> np.ndarray:
        """(n,) bool: as far as the check bits tell, and as far as was looked."""
        return np.asarray((self.states == State.SURE) | (self.states == State.OPEN))

    @property
    def decided(self) -> np.ndarray:
        """(n,) bool: longer windows than were filled would tell nothing else."""
        return np.asarray(self.asked & (self.states != State.OPEN))

    def put(self, rows: Sequence[int], other: "Walked") -> None:
        """Replace rows by those of another."""
        self.states[rows], self.rungs[rows] = other.states, other.rungs
        self.tokens[rows], self.asked[rows] = other.tokens, other.asked


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Which tables there are, in the order of rungs, and of hashes within one.

    Attributes:
        first, cuts: (R,) int64, of each rung its first table, and how many high bits of a hash tell its piece.
        places: (P, PLACES) int64: of the near table first word in its file, seed, count, length; bits of a code; of the
            far table the same four; first word of the codes; windows. files: (P,) int64, of each piece.
        layout: of their values. largest: number that a value may have.
    """

    first: np.ndarray
    cuts: np.ndarray
    places: np.ndarray
    files: np.ndarray
    layout: ValueLayout
    largest: int


class Tables:
    """Tables that are read, each checked before it first is. Safe to share between threads.

    Args:
        pieces: which there are.
        words: of each file, (W,) uint64, mapped.
        check: called with tables before they are first read; raises what is wrong with one.
    """

    def __init__(self, pieces: Pieces, words: Sequence[np.ndarray], check: Callable[[np.ndarray], None]) -> None:
        self.pieces, self.files, self._check = pieces, words, check
        self._checked = np.zeros(len(pieces.places), bool)

    def walk(self, cues: Cues) -> Walked:
        """Walk from each of n cues.

        Raises:
            DamagedMemoryError: a table is not what it was.
        """
        from memo_dist.kernels.ladder import DONE, walk_ladder

        pieces, count, file = self.pieces, len(cues), 0
        hashes, depths = np.ascontiguousarray(cues.values), cues.filled.sum(axis=1)
        rungs, numbers = np.full(count, -1), np.full(count, -1)
        states, waiting = np.zeros(count, np.uint8), np.zeros(count, np.int64)
        sizes = pieces.layout.check_bits, pieces.layout.number_bits, pieces.largest
        while True:
            ready = self._checked if len(self.files) == 1 else self._checked & (pieces.files == file)
            tables = pieces.first, pieces.cuts, pieces.places, ready, self.files[file]
            walk_ladder(hashes, depths, *tables, *sizes, rungs, numbers, states, waiting)
            left = waiting[waiting != DONE]
            if not len(left):
                return Walked(states, rungs, numbers, depths > 0)
            self._make_ready(left)
            file = int(pieces.files[left[0]])

    def read(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of (n,) windows, asked in the first rung alone: their numbers, -1 where they are not held, and whether there
        are several.

        Raises:
            DamagedMemoryError: a table is not what it was.
        """
        from memo_dist.kernels.ladder import read_tables

        known, layout, cut = self.pieces, self.pieces.layout, int(self.pieces.cuts[0])
        pieces = np.zeros(len(hashes), np.int64) if not cut else (hashes >> np.uint64(64 - cut)).astype(np.int64)
        self._make_ready(pieces)
        numbers, several = np.full(len(hashes), -1), np.zeros(len(hashes), bool)
        for file in np.unique(known.files[pieces]).tolist():
            rows = np.flatnonzero(known.files[pieces] == file)
            some, more = np.empty(len(rows), np.int64), np.empty(len(rows), bool)
            tables = cut, known.places, self.files[file], layout.check_bits, layout.number_bits
            read_tables(hashes[rows], pieces[rows], *tables, some, more)
            numbers[rows], several[rows] = some, more
        numbers[numbers > known.largest] = -1
        return numbers, several

    def on(self, xp: ModuleType) -> "Tables | DeviceTables":
        """The same tables on a device, all of them checked; with NumPy these.

        Raises:
            ConfigError: the device has no room for them.
            DamagedMemoryError: a table is not what it was.
        """
        from memo_dist.solved.device_tables import DeviceTables

        if xp is np:
            return self
        self._make_ready(np.arange(len(self.pieces.places)))
        return DeviceTables(self.pieces, self.files, xp)

    def _make_ready(self, places: np.ndarray) -> None:
        new = np.unique(places[~self._checked[places]])
        if len(new):
            self._check(new)
            self._checked[new] = True
