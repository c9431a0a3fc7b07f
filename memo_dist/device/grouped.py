"""Grouped products: rows that belong to many banks, cut into pieces that are multiplied together.

Covers: which rows go into one batched product, padded to one length. Does not cover: the products
(models/text/banks.py).

A GPU is slow at many small products and fast at one large one, so the rows of many banks become one (p, m, d) array, a
piece of a bank in each of its p layers. Banks get about the same number of rows, and pieces of similar length are put
together, so little of it is padding. A bank with more rows than a piece takes gives several, which are never in the
same array: what is added to banks by index must name each only once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, to_device

_PIECE = 1 << 12  # rows of one bank at most: sums of 4,096 signs are far below 2^15
_ROWS = 1 << 16  # rows of one array, padding included: 64 MiB of float32 at d = 256
_CELLS = 1 << 24  # cells of the banks of one array: 64 MiB of float32


@dataclass(frozen=True)
class Pieces:
    """Piece i is rows first[i] .. first[i] + sizes[i] - 1; banks[i] is its bank's place among the banks that were asked
    about. All are (p,) int64."""

    banks: np.ndarray
    first: np.ndarray
    sizes: np.ndarray

    def rows(self, xp: ModuleType) -> tuple[Array, Array]:
        """(p, m) int64 row numbers, m the longest size, and which of them count; others repeat the piece's first."""
        first, sizes = to_device(self.first, xp)[:, None], to_device(self.sizes, xp)[:, None]
        place = xp.arange(int(self.sizes.max()))[None, :]
        inside = place < sizes
        return first + place * inside, inside


def pieces(starts: np.ndarray, stops: np.ndarray, bank_cells: int) -> Iterator[Pieces]:
    """Cut the rows starts[i] .. stops[i] - 1 of each bank into pieces, of similar length together."""
    most = max(1, _CELLS // bank_cells)
    first = starts.astype(np.int64)
    while len(left := np.flatnonzero(first < stops)):
        sizes = np.minimum(stops - first, _PIECE)
        order = left[np.argsort(-sizes[left], kind="stable")]
        at = 0
        while at < len(order):
            count = max(1, min(most, _ROWS // int(sizes[order[at]])))
            banks = order[at : at + count]
            yield Pieces(banks, first[banks], sizes[banks].astype(np.int64))
            at += count
        first = first + np.maximum(sizes, 0)
