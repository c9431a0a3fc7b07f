"""Banks of correlation-matrix memory: memorize, forget and retrieve over a contiguous range of banks.

Covers: the matrices and their arithmetic, one bank at a time for the CPU, many for a GPU. Does not cover: which
associations are distinct (ledger.py), encoding, files.

    memorize   C[bank(w)] += key(w)^T (O[next] * mask(w))
    forget     the same products subtracted
    retrieve   r = (key(w) C[bank(w)]) * mask(w)
All codes are +-1 (d-vectors), so cells are integers and every sum is exact: a float32 GEMM over at most 2**24
associations makes no rounding error, and int16 cells hold any bank of up to 32,767 associations. Beyond, cells count
modulo 2**16: such a bank recalls worse, but adding and subtracting stay exact inverses, so no document can spoil a
build, and one that is forgotten leaves nothing.
Source: MeMo, arXiv 2502.12851, sections 3-4; masks and banks are ours (docs/explanation/design.md).
"""

import itertools
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, namespace, to_device, to_host
from memo_dist.device.grouped import pieces
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.codes import GOLDEN, key_words, mask_words, signs
from memo_dist.stores.banks import BankStore, bank_store

_EXPAND = 1 << 13  # associations whose codes are made at a time: 256 KiB of packed keys at d=256, 8 MiB expanded


class BankRange:
    """The matrices of banks `banks.start .. banks.stop - 1`.

    Args:
        config: the memory's definition.
        banks: the range owned.
        values: packed value codes (V + 1, d / 64), from `codes.value_words`.
        xp: numpy or cupy.
        plain: multiply expanded codes, many banks at a time, as on a GPU, instead of the CPU kernel; the bits are the
            same.
        store: where the cells live; None keeps them in memory.

    Attributes:
        loads: (len(banks),) int64, distinct associations in each bank.
    """

    def __init__(
        self,
        config: MemoryConfig,
        banks: range,
        values: Array,
        *,
        xp: ModuleType = np,
        plain: bool = False,
        store: BankStore | None = None,
    ) -> None:
        self.config = config
        self.banks = banks
        self.xp = xp
        self.store = store or bank_store((len(banks), *config.bank_shape), config.cell_type, xp=xp)
        self.loads = np.zeros(len(banks), np.int64)
        self._values = values
        self._edges = xp.asarray([bank_edge(bank, config.num_banks) for bank in banks[1:]], dtype=xp.uint64)
        self._compiled = xp is np and not plain

    @property
    def cells(self) -> Array:
        """All of them, (len(banks), d, d) int16."""
        return self.store.read(0, len(self.banks))

    def memorize(self, associations: Associations) -> None:
        """Add distinct associations, given in bank order; cells that leave int16 wrap around."""
        self._update(associations, sign=1)

    def forget(self, associations: Associations) -> None:
        """Subtract associations that are held, given in bank order. The exact inverse of `memorize`."""
        self._update(associations, sign=-1)

    def _update(self, associations: Associations, sign: int) -> None:
        if not len(associations):
            return
        xp = self.xp
        inner = to_host(xp.searchsorted(associations.names, self._edges))
        bounds = np.concatenate([[0], inner, [len(associations)]])
        self.loads += sign * np.diff(bounds)
        if not self._compiled:
            self._multiply(associations, bounds, banks=np.flatnonzero(np.diff(bounds)), sign=sign)
            return
        self._tabulate(associations, bounds, sign=sign)

    def _codes(self, hashes: Array, tokens: Array) -> tuple[Array, Array]:
        """Packed keys and masked values, (n, d / 64)."""
        dim = self.config.inner_dim
        return key_words(hashes, dim), mask_words(hashes, dim) ^ self._values[tokens]

    def _tabulate(self, associations: Associations, bounds: np.ndarray, *, sign: int) -> None:
        """Add to one bank after the other by the CPU's kernel."""
        from memo_dist.kernels.banks import add_products
        from memo_dist.kernels.hashes import association_codes

        hashes, tokens = associations.hashes, associations.tokens
        keys, values = np.empty((2, _EXPAND, self.config.inner_dim // 64), np.uint64)
        for first in range(0, len(hashes), _EXPAND):
            last = min(first + _EXPAND, len(hashes))
            association_codes(hashes[first:last], tokens[first:last], self._values, np.uint64(GOLDEN), keys, values)
            here = (bounds[:-1] < last) & (bounds[1:] > first) & (bounds[:-1] < bounds[1:])
            for group, cells in self.store.visit(range(bank, bank + 1) for bank in np.flatnonzero(here).tolist()):
                start, stop = max(bounds[group[0]], first) - first, min(bounds[group[0] + 1], last) - first
                add_products(cells[0], keys[start:stop], values[start:stop], sign)

    def _multiply(self, associations: Associations, bounds: np.ndarray, *, banks: np.ndarray, sign: int) -> None:
        """Add to many banks at a time by products of expanded codes."""
        xp, dim = self.xp, self.config.inner_dim
        hashes, tokens = associations.hashes, associations.tokens
        for visited, cells in self.store.visit(self._groups(banks)):
            group = np.asarray(visited)
            for piece in pieces(bounds[group], bounds[group + 1], dim * dim):
                rows, inside = piece.rows(xp)
                key_codes, value_codes = self._codes(hashes[rows.ravel()], tokens[rows.ravel()])
                keys = signs(key_codes).reshape(*rows.shape, dim)
                values = signs(value_codes).reshape(*rows.shape, dim)
                keys *= inside[:, :, None]
                # of at most 4,096 associations, so int16 holds it; the sum is left to wrap
                product = xp.matmul(keys.transpose(0, 2, 1), values).astype(xp.int16)
                cells[to_device(piece.banks, xp)] += sign * product

    def _groups(self, banks: np.ndarray) -> Iterator[np.ndarray]:
        """Rising banks, cut into groups that are brought to the device together."""
        count = max(1, self.store.group_bytes // self.config.bank_bytes)
        yield from (banks[first : first + count] for first in range(0, len(banks), count))

    def retrieve(self, hashes: Array) -> Array:
        """Read the memory at window hashes of this range, in any order.

        Args:
            hashes: (n,) uint64.

        Returns:
            (n, d) int32: r = (key(w) C) * mask(w). r O[v]^T / d^2 is near 1 where (w, v) is held, near 0 elsewhere.
        """
        return read_banks(self.config, hashes, self._bank) if self._compiled else self._read(hashes)

    def _bank(self, bank: int) -> Array:
        row = bank - self.banks.start
        return self.store.read(row, row + 1)[0]

    def _read(self, hashes: Array) -> Array:
        """Retrieve from many banks at a time."""
        xp, dim = self.xp, self.config.inner_dim
        result = xp.empty((len(hashes), dim), xp.int32)
        bank = bank_of(hashes, self.config.num_banks) - self.banks.start
        order = xp.argsort(bank)
        visited, starts = np.unique(to_host(bank[order]), return_index=True)
        bounds = np.append(starts, len(hashes))
        place = 0
        for brought, cells in self.store.visit(self._groups(visited), change=False):
            group, here = np.asarray(brought), np.arange(place, place + len(brought))
            place += len(group)
            for piece in pieces(bounds[here], bounds[here + 1], dim * dim):
                rows, inside = piece.rows(xp)
                asked = order[rows]
                part = hashes[asked.ravel()]
                keys = signs(key_words(part, dim)).reshape(*rows.shape, dim)
                read = exact_product(keys, cells[to_device(piece.banks, xp)], int(self.loads[group[piece.banks]].max()))
                read *= signs(mask_words(part, dim)).astype(xp.int32).reshape(read.shape)
                result[asked[inside]] = read[inside]
        return result


def exact_product(keys: Array, cells: Array, largest: int) -> Array:
    """+-1 keys (p, m, d) times int16 cells (p, d, d), (p, m, d) int32, exact whatever unit multiplies.

    A GPU told to use tensor cores for float32 (CUPY_TF32) keeps 11 bits of each factor. Cells of at most 2^11, as all
    are where no bank holds more (`largest`), pass through them unchanged; others are split into two bytes. Sums stay
    below 2^24 for d up to 4,096.
    """
    xp = namespace(cells)
    if largest <= 1 << 11:
        return xp.matmul(keys, cells.astype(xp.float32)).astype(xp.int32)
    high = xp.matmul(keys, (cells >> 8).astype(xp.float32)).astype(xp.int32)
    low = xp.matmul(keys, (cells & 255).astype(xp.float32)).astype(xp.int32)
    return high * 256 + low


def read_banks(config: MemoryConfig, hashes: Array, cells_of: Callable[[int], Array]) -> Array:
    """Retrieve at (n,) `hashes`, visiting each bank once in rising order; `cells_of(bank)` gives its (d, d) cells."""
    xp, dim = namespace(hashes), config.inner_dim
    result = xp.empty((len(hashes), dim), dtype=xp.int32)
    bank = bank_of(hashes, config.num_banks)
    order = xp.argsort(bank, kind="stable")
    visited, starts = np.unique(np.asarray(bank[order].tolist(), np.int64), return_index=True)
    bounds = itertools.pairwise([*starts.tolist(), len(hashes)])  # none where nothing is asked
    for index, (start, stop) in zip(visited.tolist(), bounds, strict=True):
        rows = order[start:stop]
        part = hashes[rows]
        # |r| <= d * max|cell| <= 2**24 for d <= 512; float64 beyond keeps the sum exact
        kind = xp.float32 if dim <= 512 else xp.float64
        read = signs(key_words(part, dim)).astype(kind, copy=False) @ cells_of(index).astype(kind)
        read *= signs(mask_words(part, dim))
        result[rows] = read.astype(xp.int32)
    return result
