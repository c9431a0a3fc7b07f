"""Ladder: windows of a place, shortest first -> the token that a solved memory has for them, in one pass.

Covers: NumPy arrays. Does not cover: what the states mean and the plain form that this must equal (solved/walk.py,
tests/reference.py), where tables lie (files/solved_reader.py).

Tables are rows of so many bits in 64-bit words, one table behind the other (solved/table.py); kernels/peeling.py says
which rows a window adds up. A table that is not at hand, of another file or not checked yet, stops a walk, which goes
on from there once it is.
"""

from typing import Any

import numpy as np

from memo_dist.kernels import compiled
from memo_dist.kernels.peeling import row_of

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHECK_SALT = np.uint64(0x636865636B)  # values.CHECK_SALT
NOT_HELD, SURE, LEFT, OPEN = 0, 1, 2, 3  # walk.State
DONE = -1


@compiled
def walk_ladder(
    hashes: np.ndarray,
    depths: np.ndarray,
    first: np.ndarray,
    cuts: np.ndarray,
    places: np.ndarray,
    ready: np.ndarray,
    words: np.ndarray,
    check_bits: int,
    number_bits: int,
    largest: int,
    rungs: np.ndarray,
    numbers: np.ndarray,
    states: np.ndarray,
    waiting: np.ndarray,
) -> None:
    """Go up the rungs of each place as far as what is at hand tells.

    Args:
        hashes: (n, R) uint64; depths: (n,) int64, how many of them are filled.
        first: (R,) int64, the first piece of each rung. cuts: (R,) int64: high bits of a hash that tell its piece.
        places: (P, PLACES) int64, see walk.Pieces; a table without rows holds nothing.
        ready: (P,) bool. words: (W,) uint64, of the tables that are.
        largest: number that a value may have.
        rungs: (n,) int64, -1 before; the rung that said what is in numbers. numbers: (n,) int64.
        states: (n,) uint8. waiting: (n,) int64: the piece that stopped a walk, DONE where it has ended.
    """
    for i in range(len(hashes)):
        if waiting[i] == DONE:
            continue
        rung = rungs[i] + 1 if states[i] == OPEN else np.int64(0)
        waiting[i] = DONE
        while rung < depths[i]:
            h = hashes[i, rung]
            piece = first[rung]
            if cuts[rung] > 0:
                piece += np.int64(h >> np.uint64(64 - cuts[rung]))
            if not ready[piece]:
                waiting[i] = piece
                break
            held, several, number = _read(words, places, piece, h, cuts[rung], check_bits, number_bits)
            if not held or number > largest:
                if states[i] == OPEN:
                    states[i] = LEFT
                break
            rungs[i], numbers[i] = rung, number
            if not several:
                states[i] = SURE
                break
            states[i] = OPEN
            rung += 1


@compiled
def read_tables(
    hashes: np.ndarray,
    pieces: np.ndarray,
    cut: int,
    places: np.ndarray,
    words: np.ndarray,
    check_bits: int,
    number_bits: int,
    numbers: np.ndarray,
    several: np.ndarray,
) -> None:
    """What piece pieces[i] has for window i: its number, -1 where it is not held, and whether there are several."""
    for i in range(len(hashes)):
        held, more, number = _read(words, places, pieces[i], hashes[i], cut, check_bits, number_bits)
        numbers[i], several[i] = number if held else -1, more


@compiled
def _read(
    words: np.ndarray, places: np.ndarray, piece: int, h: np.uint64, cut: int, check_bits: int, number_bits: int
) -> Any:
    """(held, several, number) of a window."""
    start, seed, count, length = places[piece, 0], places[piece, 1], places[piece, 2], places[piece, 3]
    if length == 0:
        return False, False, np.int64(-1)
    code_bits = places[piece, 4]
    bits = check_bits + 1 + (code_bits if code_bits > 0 else number_bits)
    value = _sum(words, start, seed, count, length, h, cut, bits)
    mask = (np.uint64(1) << np.uint64(check_bits)) - np.uint64(1)
    if (value & mask) != _check(h) & mask:
        return False, False, np.int64(-1)
    value >>= np.uint64(check_bits)
    several, number = value & np.uint64(1) != 0, np.int64(value >> np.uint64(1))
    if code_bits > 0:
        if number == (np.int64(1) << code_bits) - 1:
            seed, count, length = places[piece, 6], places[piece, 7], places[piece, 8]
            if length == 0:
                return False, False, np.int64(-1)
            number = np.int64(_sum(words, places[piece, 5], seed, count, length, h, cut, number_bits))
        else:
            word = words[places[piece, 9] + (number >> 1)]
            number = np.int64((word >> np.uint64(32 * (number & 1))) & np.uint64(0xFFFFFFFF))
    return True, several, number


@compiled
def _sum(words: np.ndarray, start: int, seed: int, count: int, length: int, h: np.uint64, cut: int, bits: int) -> Any:
    """The four rows of a window, XORed."""
    value = np.uint64(0)
    for j in range(4):
        at = row_of(h, cut, seed, count, length, j) * bits
        word, shift = start + (at >> 6), at & 63
        found = words[word] >> np.uint64(shift)
        if shift + bits > 64:
            found |= words[word + 1] << np.uint64(64 - shift)
        value ^= found
    return value & ((np.uint64(1) << np.uint64(bits)) - np.uint64(1))


@compiled
def _check(h: np.uint64) -> Any:
    """codes.mix64 of the salted hash; see values.ValueLayout.checks."""
    x = (h ^ _CHECK_SALT) + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
