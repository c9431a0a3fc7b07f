"""Taken places: documents that were taken out of kept batches without writing the batches again.

Covers: writing a list of places, the rows of a batch that are left. Does not cover: kept batches (kept_batches.py),
which documents a change takes (cluster/change_selection.py).

A list is a file beside the manifest, named by the digest of its content: place_keys (document_parts.py), uint64,
rising. A batch's record names the lists that took documents out of it; a document that is added again later is in
another batch. `memo-dist compact` writes such batches anew.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from memo_dist.document_places import places_of
from memo_dist.durable import write_bytes, writing
from memo_dist.errors import DamagedMemoryError

_PREFIX, _SUFFIX = "shard-taken-", ".places"
MOST_PLACES = 1 << 24  # of a list


def write_taken(places: np.ndarray, directory: Path) -> str:
    """Write (n,) uint64 places, durably; the file's name.

    Raises:
        StorageError: it cannot be written.
    """
    content = np.unique(places).astype("<u8").tobytes()
    path = directory / f"{_PREFIX}{_digest(content)}{_SUFFIX}"
    with writing(path):
        write_bytes(path, content)
    return path.name


def read_taken(directory: Path, name: str) -> np.ndarray:
    """The places of a list, (n,) uint64, rising.

    Raises:
        DamagedMemoryError: it is missing or altered; it is named.
    """
    path = directory / name
    try:
        if path.stat().st_size > 8 * MOST_PLACES:
            raise OSError(f"it has {path.stat().st_size:,} bytes, more than memo-dist writes")
        content = path.read_bytes()
    except OSError as error:
        raise DamagedMemoryError(f"{path} cannot be read: {error}; restore it from a copy") from error
    if digest_in(name) != _digest(content) or len(content) % 8:
        raise DamagedMemoryError(f"{path} does not match the checksum in its name; restore it from a copy")
    return np.frombuffer(content, "<u8")


def digest_in(name: str) -> str:
    """The digest of a list's content that its name has; something else of a name that is none."""
    return name.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def left_of(table: pa.Table, directory: Path, names: tuple[str, ...]) -> np.ndarray:
    """(n,) bool: which rows of a batch are of documents that no list names.

    Raises:
        DamagedMemoryError: see read_taken.
    """
    if not names:
        return np.ones(len(table), bool)
    taken = np.unique(np.concatenate([read_taken(directory, name) for name in names]))
    left: np.ndarray = ~np.isin(places_of(table, "document_id"), taken)
    return left


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
