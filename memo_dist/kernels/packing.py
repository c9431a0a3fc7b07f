"""Packing: integers of so many bits in 64-bit words, Elias-Fano's upper bits, counts of which most are 1.

Covers: NumPy arrays. Does not cover: where they lie in a file (files/packing); tests/plain_format.py has the plain form
that these must equal, written from docs/reference/format.md alone.

Bit i of a stream is bit i % 64 of its word i // 64. Readers are given what a stranger may have written, so each says
what does not fit instead of trusting it; their callers see to it that arrays are as long as the offsets say.
"""

import numpy as np

from memo_dist.kernels import compiled

WHOLE = -1  # nothing is wrong


@compiled
def pack(values: np.ndarray, width: int, offset: int, words: np.ndarray) -> None:
    """Add (n,) uint64 values below 2^width to `words`, from bit `offset` on, where all bits are 0."""
    at, shift, size = 0, np.uint64(offset), np.uint64(width)
    for value in values:
        if size == np.uint64(0):
            return
        words[at] |= value << shift
        shift += size
        if shift >= np.uint64(64):
            at += 1
            shift -= np.uint64(64)
            if shift > np.uint64(0):
                words[at] |= value >> (size - shift)


@compiled
def unpack(words: np.ndarray, offset: int, width: int, out: np.ndarray) -> None:
    """Fill `out`, unsigned, with values of `width` bits, from bit `offset` of `words` on."""
    if width == 0:
        out[:] = 0
        return
    mask = ~np.uint64(0) >> np.uint64(64 - width)
    at = offset
    for i in range(len(out)):
        word, shift = at >> 6, at & 63
        value = words[word] >> np.uint64(shift)
        if shift + width > 64:
            value |= words[word + 1] << np.uint64(64 - shift)
        out[i] = value & mask
        at += width


@compiled
def set_bits(places: np.ndarray, words: np.ndarray) -> None:
    """Set bits `places`, (n,) int64."""
    for place in places:
        words[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@compiled
def add_uppers(
    words: np.ndarray, start: int, stop: int, least: np.uint64, shift: np.uint64, low: np.uint64, names: np.ndarray
) -> int:
    """Add to names, which hold their lower bits, their upper ones; how many bits from start to stop are set.

    Row i of these names has the k-th upper value, counted from `least`, where bit start + k + i is set. More set bits
    than names are counted, no more.
    """
    count, row = len(names), 0
    for word in range(start >> 6, (stop + 63) >> 6):
        bits = words[word]
        if word == start >> 6:
            bits &= ~np.uint64(0) << np.uint64(start & 63)
        if word == stop >> 6:  # its bits below stop
            bits &= (np.uint64(1) << np.uint64(stop & 63)) - np.uint64(1)
        while bits != np.uint64(0):
            if row == count:
                return count + 1
            place = 64 * word + _zeros_below(bits) - start
            names[row] += low + ((least + np.uint64(place - row)) << shift)
            bits &= bits - np.uint64(1)
            row += 1
    return row


@compiled
def _zeros_below(bits: np.uint64) -> np.int64:
    # below the lowest bit that is set: ones of what is left of it (Hacker's Delight, sections 5-1 and 5-4)
    x = (bits & (~bits + np.uint64(1))) - np.uint64(1)
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def misplaced_bank(
    names: np.ndarray,
    tokens: np.ndarray,
    rows: np.ndarray,
    firsts: np.ndarray,
    lasts: np.ndarray,
    largest: int,
) -> int:
    """The first bank with rows that are not its own, do not rise by (name, token) or have a token above `largest`.

    WHOLE if there is none.

    Args:
        rows: (banks + 1,) int64, where the rows of each begin. firsts, lasts: (banks,) uint64, its names.
    """
    for bank in range(len(firsts)):
        first, stop = rows[bank], rows[bank + 1]
        if first == stop:
            continue
        wrong = (names[first] < firsts[bank]) | (names[stop - 1] > lasts[bank]) | (tokens[first] > largest)
        for row in range(first + 1, stop):  # without a branch, eight at a time
            wrong |= names[row] < names[row - 1]
            wrong |= (names[row] == names[row - 1]) & (tokens[row] <= tokens[row - 1])
            wrong |= tokens[row] > largest
        if wrong:
            return bank
    return WHOLE


@compiled
def set_counts(planes: np.ndarray, counts: np.ndarray) -> bool:
    """Fill `counts` with ones and, among them, counts above 1; whether all have a place and are below 2^32.

    Args:
        planes: (8, n) uint8, byte planes of the number of ones before each of these counts, and of each, less 2.
    """
    counts[:] = 1
    row = np.int64(-1)
    for i in range(planes.shape[1]):
        ones = count = np.int64(0)
        for plane in range(4):
            ones |= np.int64(planes[plane, i]) << 8 * plane
            count |= np.int64(planes[4 + plane, i]) << 8 * plane
        row += ones + 1
        if row >= len(counts) or count > 0xFFFFFFFF - 2:
            return False
        counts[row] = count + 2
    return True
