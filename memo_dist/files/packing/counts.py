"""Packed counts: of a bank's rows, those above 1, with how many rows are before each, in a frame.

Covers: packing and unpacking one bank. Does not cover: files (ledger_writer.py, ledger_reader.py).

Most counts are 1. Of a bit a row that says so zstd leaves a third, whatever it says; distances between counts above 1
are symbols, and their codes as short as they can be: .35 bits a row in technical prose, with the counts themselves.
"""

import numpy as np

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.packing.frames import compress, decompress

PLANES = 8  # bytes of a count above 1: 4 of the rows before it, and 4 of the count


def pack_counts(counts: np.ndarray) -> tuple[int, bytes]:
    """(n,) uint32 counts, 1 or more: how many are above 1, and the frame of these; nothing for none.

    It holds byte planes, lowest first: of the number of ones right before each, then of each, less 2.
    """
    places = np.flatnonzero(counts != 1)
    both = np.stack([np.diff(places, prepend=-1) - 1, counts[places].astype(np.int64) - 2]).astype("<u4")
    return len(places), compress(both.view(np.uint8).reshape(2, len(places), 4).transpose(0, 2, 1))


def unpack_counts(frame: bytes | np.ndarray, above: int, counts: np.ndarray) -> None:
    """Fill (n,) uint32 with what `pack_counts` was given, of which `above` are above 1.

    Raises:
        DamagedMemoryError: the frame does not hold so many, within n, each at most 2^32 - 1; it names neither file nor
            bank.
    """
    from memo_dist.kernels.packing import set_counts

    if not set_counts(decompress(frame, PLANES * above).reshape(PLANES, above), counts):
        raise DamagedMemoryError("counts of rows that it does not have, or that are too large")
