"""Table: windows and what belongs to them -> solved rows; the solution of key(w) T = value(w) over two elements.

Covers: one piece, its codes, the words it takes. Does not cover: its shape (shape.py), peeling (kernels/peeling.py),
reading (kernels/ladder.py), files.

Numbers are tokens, of which some are far commoner than others. So a value has a *code* of s bits instead, the place of
its number among the piece's 2^s - 1 commonest, of equally common ones the lowest; the last code says that the number is
none of these, and stands in a second table of the same piece, without check bits. s is what makes the piece smallest;
s = 0 keeps numbers as they are.
    words: near rows of c + 1 + s bits, far rows of the number's bits, codes of 32 bits; each begins a word
"""

from dataclasses import astuple, dataclass

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.solved.shape import NO_ROWS, TableShape, shapes_for
from memo_dist.solved.values import ValueLayout

_MOST_ATTEMPTS = 600  # a table that has grown to several times its size: keys are no hashes
_SPARE = 1.08  # rows a window, about
_CODE_BITS = 32
COLUMNS = 8  # of a PieceShape


@dataclass(frozen=True)
class PieceShape:
    """What the words of a piece are: its windows, its near table, the bits of a code, its far table."""

    windows: int
    near: TableShape
    code_bits: int
    far: TableShape

    def row(self) -> np.ndarray:
        """(COLUMNS,) uint64, as files have it."""
        return np.array([self.windows, *astuple(self.near), self.code_bits, *astuple(self.far)], "<u8")


@dataclass(frozen=True)
class Piece:
    """A solved piece: its shape and its words, (k,) uint64."""

    shape: PieceShape
    words: np.ndarray


def solve_table(hashes: np.ndarray, values: np.ndarray, *, shift: int) -> tuple[TableShape, np.ndarray]:
    """Solve for (n,) uint64 values of (n,) uint64 distinct, sorted window hashes.

    The same keys and values give the same table.

    Args:
        shift: high bits that all hashes have in common.

    Returns:
        Its shape, and its rows, (m,) uint64.

    Raises:
        ConfigError: two hashes are equal, or they are not spread as hashes are.
    """
    from memo_dist.kernels.peeling import peel, solve

    if not len(hashes):
        return NO_ROWS, np.zeros(0, np.uint64)
    pile, rows = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    for shape in shapes_for(len(hashes)):
        place = shift, shape.seed, shape.count, shape.length
        if peel(hashes, *place, pile, rows) == len(hashes):
            table = np.zeros(shape.rows, np.uint64)
            solve(hashes, values, *place, pile, rows, table)
            return shape, table
        if shape.seed > _MOST_ATTEMPTS:
            break
    raise ConfigError(f"no table of {len(hashes):,} windows was found: their hashes are not distinct")


def make_piece(
    hashes: np.ndarray, numbers: np.ndarray, several: np.ndarray, *, layout: ValueLayout, shift: int
) -> Piece:
    """Solve for a piece.

    Args:
        hashes: (n,) uint64, distinct, rising. numbers: (n,) of the layout's bits. several: (n,) bool.
        shift: high bits that all hashes have in common.
    """
    commonest, code_bits = choose_codes(numbers, layout)
    codes, far = _coded(numbers, commonest, code_bits)
    near, rows = solve_table(hashes, layout.values(hashes, codes, several), shift=shift)
    beyond, far_rows = solve_table(hashes[far], numbers[far].astype(np.uint64), shift=shift)
    sizes = layout.near_bits(code_bits), layout.number_bits
    tables = [packed(rows, sizes[0]), packed(far_rows, sizes[1]), packed(commonest.astype(np.uint64), _CODE_BITS)]
    return Piece(PieceShape(len(hashes), near, code_bits, beyond), np.concatenate(tables))


def choose_codes(numbers: np.ndarray, layout: ValueLayout) -> tuple[np.ndarray, int]:
    """The numbers that have codes, the commonest first, and the bits of a code; none and 0 where that saves nothing."""
    found, counts = np.unique(numbers, return_counts=True)
    order = np.lexsort((found, -counts))
    covered = np.concatenate([[0], np.cumsum(counts[order])])
    best, chosen = _SPARE * len(numbers) * layout.number_bits, 0
    for bits in range(1, layout.number_bits):
        coded = min((1 << bits) - 1, len(found))
        far = len(numbers) - int(covered[coded])
        size = _SPARE * (len(numbers) * bits + far * layout.number_bits) + _CODE_BITS * ((1 << bits) - 1)
        if size < best:
            best, chosen = size, bits
    commonest = np.zeros((1 << chosen) - 1, np.int64)  # zeros behind those that there are
    some = found[order][: len(commonest)]
    commonest[: len(some)] = some
    return commonest, chosen


def words_of(shape: np.ndarray, layout: ValueLayout) -> np.ndarray:
    """(n, 3) int64: how many words the near rows, the far rows and the codes of (n, COLUMNS) shapes take."""
    _, _, count, length, code_bits, _, far_count, far_length = shape.astype(np.int64).T
    near_bits = layout.check_bits + 1 + np.where(code_bits > 0, code_bits, layout.number_bits)
    rows, far_rows = _rows(count, length), _rows(far_count, far_length)
    codes = (1 << code_bits) - 1
    sizes = [rows * near_bits, far_rows * layout.number_bits, codes * _CODE_BITS]
    return -(-np.stack(sizes, axis=1) // 64)


def packed(table: np.ndarray, bits: int) -> np.ndarray:
    """Rows of `bits` bits, one behind the other, in (k,) uint64 words."""
    from memo_dist.kernels.packing import pack

    words = np.zeros(-(-len(table) * bits // 64), np.uint64)
    pack(table, bits, 0, words)
    return words


def _rows(count: np.ndarray, length: np.ndarray) -> np.ndarray:
    return np.where(length > 0, (count + 3) * length, 0)


def _coded(numbers: np.ndarray, commonest: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) codes, and which are the last code, that of all others."""
    if not bits:
        return numbers, np.zeros(len(numbers), bool)
    order = np.argsort(commonest, kind="stable")
    place = np.minimum(np.searchsorted(commonest[order], numbers), len(commonest) - 1)
    found = commonest[order][place] == numbers
    return np.where(found, order[place], len(commonest)), ~found
