"""Heads: what a file of a published memory is but for its tables or banks, and the digests of its blocks.

Covers: making both of a file; a head back to a file with a hole. Does not cover: reading blocks (blocks.py).

    head      {"bytes": N, "segments": [[start, stop], ...]} as one line of JSON, then the bytes of the segments
    blocks    (ceil(N / BLOCK_BYTES), 16) uint8: BLAKE2b-128 of each block of the file
Tables and banks take nearly all of a file, and are asked for a few bytes at a time. The rest, which says where they
are, is read whenever a memory is opened; so it is one object.
"""

import hashlib
import json
import os
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from memo_dist.durable import writing
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import naming_damage
from memo_dist.json_text import parse_json
from memo_dist.remote.root import digest_of

BLOCK_BYTES = 1 << 14
"""The four rows of a window lie within 22 KB of a table (docs/decisions/0029-object-stores.md)."""
_BULK = ("words", "cells")  # datasets of tables and of banks
_MOST_LINE = 1 << 20


def head_of(path: Path) -> bytes:
    """The head of a file of a published memory.

    Raises:
        DamagedMemoryError: it is none.
    """
    size = path.stat().st_size
    bulk: list[tuple[int, int]] = []

    def look(name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset) and name.rpartition("/")[2] in _BULK:
            start = found.id.get_offset()
            if start is not None:
                bulk.append((start, start + found.id.get_storage_size()))

    with naming_damage(path), h5py.File(path, "r") as opened:
        opened.visititems(look)
    at, segments = 0, []
    for start, stop in [*sorted(bulk), (size, size)]:
        if start > at:
            segments.append([at, start])
        at = max(at, stop)
    with open(path, "rb") as file:
        kept = [os.pread(file.fileno(), stop - start, start) for start, stop in segments]
    line = json.dumps({"bytes": size, "segments": segments}).encode()
    return line + b"\n" + b"".join(kept)


def blocks_of(path: Path) -> bytes:
    """The digests of a file's blocks."""
    found = []
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            found.append(hashlib.blake2b(block, digest_size=16).digest())
    return b"".join(found)


def spread_head(head: bytes, path: Path, size: int, *, url: str) -> None:
    """Make a file of `size` bytes, which has those of a head in their places, and a hole elsewhere.

    Raises:
        DamagedMemoryError: the head is none of such a file; `url` is named. StorageError: the file cannot be written.
    """
    line, _, data = head.partition(b"\n")
    try:
        said = parse_json(line[:_MOST_LINE].decode())
        segments = [(int(start), int(stop)) for start, stop in said["segments"]]
        rises = all(start < stop for start, stop in segments)
        rises &= all(a[1] <= b[0] for a, b in pairwise(segments))
        inside = not segments or (segments[0][0] >= 0 and segments[-1][1] <= size)
        whole = rises and inside and said["bytes"] == size and sum(b - a for a, b in segments) == len(data)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DamagedMemoryError(f"{url} is no head of a file of {size:,} bytes; upload the memory again")
    with writing(path), open(path, "wb") as file:
        os.truncate(file.fileno(), size)
        at = 0
        for start, stop in segments:
            file.seek(start)
            file.write(data[at : at + stop - start])
            at += stop - start


def digests_in(blocks: bytes, size: int, url: str) -> np.ndarray:
    """(n, 16) uint8, the digests of the blocks of a file of `size` bytes.

    Raises:
        DamagedMemoryError: they are not as many; `url` is named.
    """
    count = -(-size // BLOCK_BYTES)
    if len(blocks) != 16 * count:
        raise DamagedMemoryError(f"{url} has digests of other blocks than a file of {size:,} bytes; upload it again")
    return np.frombuffer(blocks, np.uint8).reshape(count, 16)


def require_digest(data: bytes | None, blake2b: str, url: str) -> bytes:
    """The bytes of an object, if they are there and are what its name says.

    Raises:
        DamagedMemoryError: `url` is named.
    """
    if data is None:
        raise DamagedMemoryError(f"{url} is missing; upload the memory again")
    if digest_of(data) != blake2b:
        raise DamagedMemoryError(f"{url} is damaged: its bytes are not those that it is named by; upload it again")
    return data
