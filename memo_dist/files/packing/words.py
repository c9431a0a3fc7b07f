"""Words: integers of so many bits, one behind the other, as a column of 64-bit words that grows at its end.

Covers: writing such a column piece by piece, where in it values lie. Does not cover: what the integers mean.
"""

from collections.abc import Callable

import numpy as np

_PIECE = 1 << 17  # words handed on at a time where a stream has long gaps: 1 MiB

Write = Callable[[int, np.ndarray], None]  # (first word, words)


def words_for(bits: int) -> int:
    """Words that hold so many bits."""
    return -(-bits // 64)


class BitWriter:
    """Writes a stream of bits in order; whole words are handed on, what is left waits for more.

    Args:
        write: is given the number of a word, and words from there on.
    """

    def __init__(self, write: Write) -> None:
        self._write, self._at, self._bits = write, 0, 0
        self._last = np.uint64(0)  # the word that is not full

    def room(self, bits: int) -> np.ndarray:
        """Words, empty but for what waits, with room for so many bits behind it; see `put`."""
        words = np.zeros(words_for(self._bits + bits) or 1, np.uint64)
        words[0] = self._last
        return words

    def put(self, words: np.ndarray, bits: int) -> None:
        """Take the words of `room`, filled."""
        whole, self._bits = divmod(self._bits + bits, 64)
        if whole:
            self._write(self._at, words[:whole])
            self._last = words[whole] if self._bits else np.uint64(0)
        else:
            self._last = words[0]
        self._at += whole

    def values(self, values: np.ndarray, width: int) -> None:
        """Append (n,) uint64 values below 2^width."""
        from memo_dist.kernels.packing import pack

        words = self.room(len(values) * width)
        pack(values, width, self._bits, words)
        self.put(words, len(values) * width)

    def ones(self, places: np.ndarray) -> None:
        """Set the bits `places`, (n,) int64, rising, none before the end; the stream ends behind the last one."""
        from memo_dist.kernels.packing import set_bits

        while len(places):
            begin = 64 * self._at
            here = places[: np.searchsorted(places, begin + 64 * _PIECE)]
            places = places[len(here) :]
            stop = 64 * _PIECE if len(places) else int(here[-1]) - begin + 1
            bits = stop - self._bits
            words = self.room(bits)
            set_bits(here - begin, words)
            self.put(words, bits)

    def close(self, bits: int) -> None:
        """Fill the stream with zeros up to `bits` in all, and hand on the last word."""
        while (missing := bits - 64 * self._at - self._bits) > 0:
            missing = min(missing, 64 * _PIECE)
            self.put(self.room(missing), missing)
        if self._bits:
            self._write(self._at, np.array([self._last], np.uint64))
