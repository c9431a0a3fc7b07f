"""Packed tokens: those of a bank's rows, byte plane by byte plane, a frame each.

Covers: packing and unpacking one bank. Does not cover: files (ledger_writer.py, ledger_reader.py), whether a token is
one of the memory's.

Rows are in the order of hashes, so a token says nothing of the next one; but few tokens are common, and all lowest
bytes together, and all second ones, each have an alphabet of their own for zstd's codes.
"""

import numpy as np

from memo_dist.files.packing.frames import compress, decompress


def pack_tokens(tokens: np.ndarray, planes: int) -> bytes:
    """The frames of (n,) uint32 tokens below 256^planes, one behind the other; nothing for none.

    Each has codes of its own: of one frame for all, second bytes would get those of lowest bytes.
    """
    return b"".join(map(compress, _planes(tokens, planes)))


def unpack_tokens(frames: bytes | np.ndarray, planes: int, tokens: np.ndarray) -> None:
    """Fill (n,) uint32 zeros with what `pack_tokens` was given.

    Raises:
        DamagedMemoryError: the frames do not hold so many; it names neither file nor bank.
    """
    found = decompress(frames, planes * len(tokens)).reshape(planes, len(tokens))
    for target, plane in zip(_planes(tokens, planes), found, strict=True):  # as one array: four times as long
        target[:] = plane


def _planes(tokens: np.ndarray, planes: int) -> np.ndarray:
    """A view of the lowest bytes, (planes, n) uint8."""
    return tokens.view(np.uint8).reshape(len(tokens), 4)[:, :planes].T
