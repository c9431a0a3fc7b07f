"""Packed cells: a bank of int16 cells in one byte a cell, exactly.

Covers: packing and unpacking one bank. Does not cover: that a byte is seldom all that a cell says (frames.py), files
(cells_file.py).

    cell = 2 low + p,   low int8,   p the parity of the bank: each association adds +-1 to every cell
Cells that do not fit are exceptions, kept with their places. A bank with so many of them that bytes are saved no more
is kept wide: `low` has the cells' low bytes, `rest` their high ones. So any cells are exact, and none take more than
two bytes.
"""

import numpy as np

from memo_dist.errors import DamagedMemoryError

WIDE = 2  # the form of a bank without a parity


def place_type(size: int) -> np.dtype:
    """The type of an exception's place in a bank of so many cells."""
    return np.dtype("<u2" if size <= 1 << 16 else "<u4")


def pack_cells(cells: np.ndarray) -> tuple[np.ndarray, int, bytes]:
    """One bank, any shape of int16.

    Returns:
        low, int8 of the same shape; the form, 0 or 1 for the parity, or WIDE; and what `low` does not say: the
        exceptions' places and then their cells, or the high bytes.
    """
    odd = int(np.count_nonzero(cells & 1))
    parity = np.int16(2 * odd > cells.size)
    low = ((cells - parity) >> 1).astype(np.int8)
    places = np.flatnonzero(_unhalved(low, parity) != cells)
    kind = place_type(cells.size)
    if len(places) * (kind.itemsize + 2) < cells.size:
        return low, int(parity), places.astype(kind).tobytes() + cells.reshape(-1)[places].astype("<i2").tobytes()
    return cells.astype(np.int8), WIDE, (cells >> 8).astype(np.int8).tobytes()


def unpack_cells(low: np.ndarray, form: int, rest: bytes | memoryview | np.ndarray) -> np.ndarray:
    """The bank that `pack_cells` packed.

    Raises:
        DamagedMemoryError: the three do not belong together; it names neither file nor bank.
    """
    if form == WIDE:
        if len(rest) != low.size:
            raise DamagedMemoryError(f"{len(rest):,} high bytes of {low.size:,} cells")
        high = np.frombuffer(rest, np.int8).reshape(low.shape)
        return np.asarray((high.astype(np.int16) << 8) | low.view(np.uint8))
    kind = place_type(low.size)
    count, left = divmod(len(rest), kind.itemsize + 2)
    if form not in (0, 1) or left:
        raise DamagedMemoryError(f"the form {form} with {len(rest):,} bytes of exceptions")
    cells = _unhalved(low, np.int16(form))
    if count:
        places = np.frombuffer(rest, kind, count)
        if int(places[-1]) >= low.size or not (places[1:] > places[:-1]).all():
            raise DamagedMemoryError("exceptions out of place")
        cells.reshape(-1)[places] = np.frombuffer(rest, "<i2", count, count * kind.itemsize)
    return cells


def _unhalved(low: np.ndarray, parity: np.int16) -> np.ndarray:
    cells = low.astype(np.int16)
    cells <<= 1
    cells += parity
    return np.asarray(cells)
