"""Banks of correlation-matrix memory: memorize, forget and retrieve over a contiguous range of banks.

Covers: the matrices and their arithmetic. Does not cover: which associations are distinct (ledger.py), encoding, files.

    memorize   C[bank(w)] += key(w)^T (O[next] * mask(w))
    forget     the same products subtracted
    retrieve   r = (key(w) C[bank(w)]) * mask(w)
All codes are +-1 (d-vectors), so cells are integers and every sum is exact: a float32 GEMM over at most 2**24
associations makes no rounding error, and int16 cells hold any bank of up to 32,767 associations.
Source: MeMo, arXiv 2502.12851, sections 3-4; masks and banks are ours (docs/design.md).
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np

from memo_dist.associations import Associations, bank_of
from memo_dist.backend import Array, namespace
from memo_dist.codes import key_words, mask_words, signs
from memo_dist.config import MemoryConfig
from memo_dist.errors import BankOverflowError
from memo_dist.kernels import bank_kernel
from memo_dist.stores.banks import BankStore, bank_store

_EXPAND = 1 << 13  # associations whose codes are made at a time: 256 KiB of packed keys at d=256, 8 MiB expanded
CELL_LIMIT = 2**15 - 1  # the largest int16 cell, and the largest bank that needs no check


class BankRange:
    """The matrices of banks `banks.start .. banks.stop - 1`.

    Args:
        config: the memory's definition.
        banks: the range owned.
        values: packed value codes (V + 1, d / 64), from `codes.value_words`.
        xp: numpy or cupy.
        plain: multiply expanded codes by GEMM, as on a GPU, instead of the CPU kernel; the bits are the same.
        store: where the cells live; None keeps them in memory.

    Attributes:
        loads: (len(banks),) int64, distinct associations in each bank.
    """

    def __init__(
        self,
        config: MemoryConfig,
        banks: range,
        values: Array,
        xp: ModuleType = np,
        plain: bool = False,
        store: BankStore | None = None,
    ) -> None:
        self.config = config
        self.banks = banks
        self.xp = xp
        self.store = store or bank_store((len(banks), *config.bank_shape), config.cell_type, xp)
        self.loads = np.zeros(len(banks), np.int64)
        self._values = values
        self._kernel = bank_kernel() if xp is np and not plain else None

    @property
    def cells(self) -> Array:
        """All of them, (len(banks), d, d) int16."""
        return self.store.read(0, len(self.banks))

    def memorize(self, associations: Associations) -> None:
        """Add distinct associations, given in bank order.

        Raises:
            BankOverflowError: a cell would leave the int16 range (only possible beyond 32,767 in a bank).
        """
        self._update(associations, sign=1)

    def forget(self, associations: Associations) -> None:
        """Subtract associations that are held, given in bank order. The exact inverse of `memorize`."""
        self._update(associations, sign=-1)

    def _update(self, associations: Associations, sign: int) -> None:
        if not len(associations):
            return
        xp, dim = self.xp, self.config.inner_dim
        hashes = associations.hashes
        bank = bank_of(hashes, self.config.num_banks) - self.banks.start
        bounds = xp.searchsorted(bank, xp.arange(len(self.banks) + 1)).tolist()
        self.loads += sign * np.diff(np.asarray(bounds))
        for first in range(0, len(associations), _EXPAND):
            last = min(first + _EXPAND, len(associations))
            keys = key_words(hashes[first:last], dim)
            values = mask_words(hashes[first:last], dim) ^ self._values[associations.tokens[first:last]]
            for index in range(int(bank[first]), int(bank[last - 1]) + 1):
                start, stop = max(bounds[index], first) - first, min(bounds[index + 1], last) - first
                if start < stop:
                    with self.store.bank(index) as cells:
                        self._add(cells, index, keys[start:stop], values[start:stop], sign)

    def _add(self, cells: Array, index: int, keys: Array, values: Array, sign: int) -> None:
        """cells += sign * sum_i key_i^T value_i, from packed codes (m, d / 64)."""
        xp = self.xp
        if self._kernel is not None and self.loads[index] <= CELL_LIMIT:
            self._kernel(cells, keys, values, sign)
            return
        product = (signs(keys).T @ signs(values)).astype(xp.int16)  # at most _EXPAND associations: in range
        if self.loads[index] > CELL_LIMIT:
            wide = cells.astype(xp.int32) + sign * product.astype(xp.int32)
            if int(xp.abs(wide).max()) > CELL_LIMIT:
                raise BankOverflowError(
                    f"bank {self.banks.start + index} holds {int(self.loads[index]):,} associations and a cell left "
                    f"the int16 range; build with more banks than {self.config.num_banks:,}"
                )
        if sign > 0:
            cells += product
        else:
            cells -= product

    def retrieve(self, hashes: Array) -> Array:
        """Read the memory at window hashes of this range, in any order.

        Args:
            hashes: (n,) uint64.

        Returns:
            (n, d) int32: r = (key(w) C) * mask(w). r O[v]^T / d^2 is near 1 where (w, v) is held, near 0 elsewhere.
        """
        return read_banks(self.config, hashes, self._bank)

    def _bank(self, bank: int) -> Array:
        row = bank - self.banks.start
        return self.store.read(row, row + 1)[0]


def read_banks(config: MemoryConfig, hashes: Array, cells_of: Callable[[int], Array]) -> Array:
    """Retrieve at (n,) `hashes`, visiting each bank once in rising order; `cells_of(bank)` gives its (d, d) cells."""
    xp, dim = namespace(hashes), config.inner_dim
    result = xp.empty((len(hashes), dim), dtype=xp.int32)
    bank = bank_of(hashes, config.num_banks)
    order = xp.argsort(bank, kind="stable")
    visited, starts = np.unique(np.asarray(bank[order].tolist(), np.int64), return_index=True)
    stops = [*starts[1:].tolist(), len(hashes)]
    for index, start, stop in zip(visited.tolist(), starts.tolist(), stops, strict=True):
        rows = order[start:stop]
        part = hashes[rows]
        # |r| <= d * max|cell| < 2**24 for d <= 512; float64 beyond keeps the sum exact
        kind = xp.float32 if dim <= 512 else xp.float64
        read = signs(key_words(part, dim)).astype(kind, copy=False) @ cells_of(index).astype(kind)
        read *= signs(mask_words(part, dim))
        result[rows] = read.astype(xp.int32)
    return result
