"""Frames: bytes of a bank under zstd, taken back where their number is known.

Covers: compressing and decompressing. Does not cover: what the bytes say (cells.py, tokens.py), where frames lie in a
file (cells_file.py, ledger_reader.py).

A frame may come from a stranger, so what it says of its own length is not believed: as many bytes as asked are
allocated, and zstd, which writes straight into them, must fill them and be through with what it was given.
"""

import numpy as np
import pyarrow as pa

from memo_dist.errors import DamagedMemoryError

# Level 1: codes of symbols are what saves bytes here. Higher levels look for repetition, which is not there.
_CODEC = pa.Codec("zstd", compression_level=1)


def compress(values: np.ndarray) -> bytes:
    """A frame of an array's bytes, in row-major order; nothing for nothing."""
    return bytes(_CODEC.compress(np.ascontiguousarray(values), asbytes=True)) if values.size else b""


def decompress(frame: bytes | np.ndarray, size: int) -> np.ndarray:
    """What `compress` was given: (size,) uint8, not to be written to.

    Raises:
        DamagedMemoryError: it is no frame, or one of more or fewer bytes; neither file nor bank are named.
    """
    if not size:
        if len(frame):
            raise DamagedMemoryError(f"a frame of {len(frame):,} bytes for nothing")
        return np.zeros(0, np.uint8)
    try:
        return np.frombuffer(_CODEC.decompress(frame, decompressed_size=size), np.uint8, size)
    except (OSError, ValueError) as error:  # ValueError: also of pyarrow, for sizes that do not go together
        raise DamagedMemoryError(f"its frame of {len(frame):,} bytes does not hold {size:,}: {error}") from error
