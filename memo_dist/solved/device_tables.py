"""Tables on a device: a solved memory's rows as one array of CuPy, walked by array arithmetic, rung by rung.

Covers: walking from given cues, with the bits of the compiled pass. Does not cover: keys of text, which the host makes
(docs/decisions/0015), checking what files hold (walk.Tables, which makes these).

The arithmetic is that of kernels/ladder.py and kernels/peeling.py, over all places that are still walking at once; the
same lines run with NumPy, and are held against the compiled ones.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from memo_dist.device.backend import Array, room_on_device, to_host
from memo_dist.errors import ConfigError
from memo_dist.models.cues import Cues
from memo_dist.models.text.codes import GOLDEN, mix64
from memo_dist.solved.shape import ROWS_OF_A_KEY
from memo_dist.solved.values import CHECK_SALT
from memo_dist.solved.walk import Pieces, State, Walked

WORD_COLUMNS = (0, 5, 9)  # of places: where words begin
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_ONE, _BITS = np.uint64(1), np.uint64(64)


class DeviceTables:
    """All tables of a solved memory.

    Args:
        pieces: which there are.
        words: of each file, (W,) uint64.
        xp: numpy or cupy.

    Raises:
        ConfigError: the device has no room for them.
    """

    def __init__(self, pieces: Pieces, words: Sequence[np.ndarray], xp: ModuleType) -> None:
        size = sum(part.nbytes for part in words)
        if size > room_on_device(xp):
            raise ConfigError(
                f"the tables take {size:,} bytes, and the device has room for {int(room_on_device(xp)):,}; "
                "ask this memory on the CPU, where it is mapped"
            )
        starts = np.cumsum([0, *(len(part) for part in words[:-1])])
        places = pieces.places.copy()
        places[:, WORD_COLUMNS] += starts[pieces.files][:, None]
        self._xp, self._pieces, self._places = xp, pieces, xp.asarray(places)
        self._words = xp.asarray(np.concatenate([*words, np.zeros(1, np.uint64)]))  # one more is read than is used

    def walk(self, cues: Cues) -> Walked:
        """See Tables.walk."""
        xp, count, pieces = self._xp, len(cues), self._pieces
        filled = cues.filled.sum(axis=1)
        hashes, depths = xp.asarray(np.ascontiguousarray(cues.values)), xp.asarray(filled.astype(np.int64))
        states = xp.full(count, int(State.NOT_HELD), np.int64)
        rungs, numbers = xp.full(count, -1, np.int64), xp.full(count, -1, np.int64)
        rows = xp.arange(count)
        for rung in range(len(pieces.first)):
            rows = rows[depths[rows] > rung]
            if not len(rows):
                break
            held, several, number = self._read(hashes[rows, rung], rung)
            lost = rows[~held]
            states[lost] = xp.where(states[lost] == int(State.OPEN), int(State.LEFT), int(State.NOT_HELD))
            rows, several = rows[held], several[held]
            rungs[rows], numbers[rows] = rung, number[held]
            states[rows] = xp.where(several, int(State.OPEN), int(State.SURE))
            rows = rows[several]
        return Walked(to_host(states).astype(np.uint8), to_host(rungs), to_host(numbers), filled > 0)

    def _read(self, h: Array, rung: int) -> Any:
        """(held, several, number) of the windows of a rung."""
        xp, pieces, layout, cut = self._xp, self._pieces, self._pieces.layout, int(self._pieces.cuts[rung])
        piece = xp.full(len(h), int(pieces.first[rung]), np.int64)
        if cut:
            piece = piece + (h >> (_BITS - np.uint64(cut))).astype(np.int64)
        place = self._places[piece]
        code_bits, exists = place[:, 4], place[:, 3] > 0
        bits = layout.check_bits + 1 + xp.where(code_bits > 0, code_bits, layout.number_bits)
        value = self._sum(h, cut, table=place[:, 0:4], bits=bits)
        check = np.uint64((1 << layout.check_bits) - 1)
        held = exists & ((value & check) == (mix64((h ^ np.uint64(CHECK_SALT)) + np.uint64(GOLDEN)) & check))
        value = value >> np.uint64(layout.check_bits)
        several, number = (value & _ONE) > np.uint64(0), (value >> _ONE).astype(np.int64)
        coded = code_bits > 0
        far = coded & (number == xp.ones(len(h), np.int64) * (self._powers(code_bits) - 1))
        widths = xp.full(len(h), layout.number_bits, np.int64)
        beyond = self._sum(h, cut, table=place[:, 5:9], bits=widths).astype(np.int64)
        near = coded & ~far
        word = self._words[xp.where(near, place[:, 9] + (number >> 1), 0)]
        shift = (number & 1).astype(np.uint64) << np.uint64(5)
        code = ((word >> shift) & _LOW).astype(np.int64)
        found = xp.where(far, beyond, xp.where(near, code, number))
        held = held & (~far | (place[:, 8] > 0)) & (found <= pieces.largest)
        return held, several, found

    def _foresee(self, words: Sequence[Array]) -> None:
        """Told which words are read next; here they all are."""

    def _powers(self, exponents: Array) -> Array:
        return self._xp.ones(len(exponents), np.int64) << exponents

    def _sum(self, h: Array, cut: int, *, table: Array, bits: Array) -> Array:
        """The four rows of each window, XORed; whatever, where a table has none.

        Args:
            table: (n, 4) int64: first word, seed, count, length.
        """
        xp = self._xp
        start, count = table[:, 0], table[:, 2].astype(np.uint64)
        length = xp.maximum(table[:, 3], 1).astype(np.uint64)
        turned, rows = h << np.uint64(cut), count * length
        first = ((turned >> _HALF) * rows + (((turned & _LOW) * rows) >> _HALF)) >> _HALF
        mixed = mix64(h + (table[:, 1] + 1).astype(np.uint64) * np.uint64(GOLDEN))
        none, value = table[:, 3] == 0, xp.zeros(len(h), np.uint64)
        mask = (self._powers(bits) - 1).astype(np.uint64)
        rows_of_keys = []
        for j in range(ROWS_OF_A_KEY):
            row = first
            if j:
                within = (mixed >> np.uint64(20 * (j - 1))) & (length - _ONE)
                row = (first & ~(length - _ONE)) + np.uint64(j) * length + within
            at = xp.where(none, 0, row.astype(np.int64) * bits)
            rows_of_keys.append((xp.where(none, 0, start + (at >> 6)), (at & 63).astype(np.uint64)))
        self._foresee([word for word, _ in rows_of_keys])
        for word, shift in rows_of_keys:
            # two shifts: one by 64 bits is not defined
            value = value ^ (self._words[word] >> shift) ^ ((self._words[word + 1] << (np.uint64(63) - shift)) << _ONE)
        return value & mask
