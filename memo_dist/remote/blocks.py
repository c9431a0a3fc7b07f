"""Blocks: bytes of a memory's files, fetched from its store as they are asked for, each checked, kept in a local file.

Covers: which blocks are here, fetching others, keeping within a size. Does not cover: which bytes an answer needs
(solved/fetched_tables.py, files/published_reader.py), where the local file is (located.py).

All files stand one behind the other, each from the beginning of a block on. If the cache has room for all of them, the
local file has them so, with holes; it stays for other commands, and processes share it: a block is believed here only
once its digest was found right, so nothing need be known of who wrote what. If it has less room, the local file is this
process's own and has places for as many blocks as fit; those that were not asked for the longest time are given up.
"""

import hashlib
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memo_dist.durable import writing
from memo_dist.errors import DamagedMemoryError
from memo_dist.remote.heads import BLOCK_BYTES, digests_in, require_digest
from memo_dist.remote.root import Piece, Ranges
from memo_dist.remote.store import Store

_WORDS = BLOCK_BYTES // 8
_MOST_RANGE = 64  # blocks that one request asks for
_FEWEST = 64  # places for blocks, 1 MB
_NOT_HERE = -1


@dataclass(frozen=True)
class StoredFile:
    """A file that is read by range: its name in the memory's directory, its object, what checks its blocks."""

    name: str
    piece: Piece
    ranges: Ranges

    @property
    def count(self) -> int:
        """Blocks."""
        return -(-self.piece.bytes // BLOCK_BYTES)


class Blocks:
    """The files of a memory, by blocks. Safe to share between threads.

    Args:
        store: where they are. files: in order.
        place: of the local file, if the cache has room for all.
        most_bytes: that blocks may take here.

    Attributes:
        starts: (F,) int64, the first block of each file.
        requests, fetched_bytes: so far.
        shared: whether the local file has all files as they are.
    """

    def __init__(self, store: Store, files: Sequence[StoredFile], *, place: Path, most_bytes: int) -> None:
        self._store, self._files, self._lock = store, list(files), threading.Lock()
        counts = [file.count for file in files]
        self.starts = np.cumsum([0, *counts[:-1]]).astype(np.int64)
        self.total, self._words = sum(counts), sum(counts) * _WORDS
        self.requests = self.fetched_bytes = 0
        self.shared = self.total * BLOCK_BYTES <= most_bytes
        self._digests: list[np.ndarray | None] = [None] * len(files)
        self._slot_of = np.full(self.total, _NOT_HERE, np.int64)
        slots = self.total if self.shared else max(_FEWEST, most_bytes // BLOCK_BYTES)
        self.path = place
        with writing(place):
            if self.shared:
                self._local = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
            else:
                self._local, name = tempfile.mkstemp(dir=place.parent, prefix="blocks-")
                os.unlink(name)
            if os.fstat(self._local).st_size < slots * BLOCK_BYTES:
                os.truncate(self._local, slots * BLOCK_BYTES)
        self._here: np.ndarray = np.memmap(
            os.fdopen(os.dup(self._local), "rb"), np.uint64, "r", shape=(slots * _WORDS,)
        )
        self._block_in = np.full(slots, _NOT_HERE, np.int64)
        self._used, self._turn = np.zeros(slots, np.int64), 0

    def close(self) -> None:
        """Let go of the local file; nothing can be read any more."""
        os.close(self._local)

    def words(self, at: np.ndarray) -> np.ndarray:
        """The uint64 words at places of all files together, of any shape.

        Raises:
            DamagedMemoryError: an object is missing, or is not what was uploaded; it is named.
            StorageError: the store does not answer, or the disk here is full.
        """
        at = np.minimum(at, self._words - 1)
        flat = at.reshape(-1)
        blocks = flat // _WORDS
        needed = np.unique(blocks)
        if len(needed) > len(self._used) // 2 and len(flat) > 1:
            half = len(flat) // 2
            return np.concatenate([self.words(flat[:half]), self.words(flat[half:])]).reshape(at.shape)
        with self._lock:
            self._take(needed)
            found: np.ndarray = self._here[self._slot_of[blocks] * _WORDS + flat % _WORDS]
        return found.reshape(at.shape)

    def foresee(self, at: Sequence[np.ndarray]) -> None:
        """Fetch, together, what will be asked next; errors as for `words`."""
        needed = np.unique(np.concatenate([np.minimum(one, self._words - 1).reshape(-1) // _WORDS for one in at]))
        with self._lock:
            self._take(needed[: len(self._used) // 2])

    def have(self, file: int, spans: Sequence[tuple[int, int]]) -> None:
        """Fetch spans of bytes of a file; errors as for `words`. Only where `shared`."""
        first = int(self.starts[file])
        parts = [np.arange(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)) + first for start, stop in spans]
        with self._lock:
            self._take(np.unique(np.concatenate(parts)))

    def verify(self) -> None:
        """Read every byte of every file in the store, and compare with what the manifest says.

        Raises:
            DamagedMemoryError, StorageError: an object is named.
        """
        for file in self._files:
            state, url = hashlib.blake2b(digest_size=16), self._store.url(file.piece.object)
            for part in self._store.parts(file.piece.object, file.piece.bytes):
                state.update(part)
            if state.hexdigest() != file.piece.blake2b:
                raise DamagedMemoryError(f"{url} ({file.name}) does not match the manifest's checksum; upload it again")

    def _take(self, blocks: np.ndarray) -> None:
        """Have blocks here."""
        self._turn += 1
        missing = blocks[self._slot_of[blocks] == _NOT_HERE]
        if self.shared:
            left = [block for block in missing.tolist() if not self._was_kept(block)]
        else:
            left = missing.tolist()
            held = self._slot_of[blocks[self._slot_of[blocks] != _NOT_HERE]]
            self._used[held] = self._turn
        if left:
            self._fetch(left)

    def _was_kept(self, block: int) -> bool:
        """Whether a block of the shared file is whole, fetched by an earlier command or by another process."""
        start = block * BLOCK_BYTES
        try:
            if os.lseek(self._local, start, os.SEEK_DATA) >= start + BLOCK_BYTES:
                return False
        except OSError:  # a hole to the end
            return False
        file, size = self._file_of(block)
        if self._digest(os.pread(self._local, size, start)) != self._expected(file, block):
            return False
        self._slot_of[block] = block
        return True

    def _fetch(self, blocks: list[int]) -> None:
        """Fetch blocks, which rise, in as few requests as may be."""
        runs: list[list[int]] = []
        for block in blocks:
            near = runs and block - runs[-1][1] <= 1 and block - runs[-1][0] < _MOST_RANGE
            if near and self._file_of(block)[0] == self._file_of(runs[-1][0])[0]:
                runs[-1][1] = block
            else:
                runs.append([block, block])
        wanted, slots = set(blocks), iter(self._free_slots(blocks))
        for first, data in zip([run[0] for run in runs], self._asked(runs), strict=True):
            for at in range(0, len(data), BLOCK_BYTES):
                block = first + at // BLOCK_BYTES
                if block in wanted:
                    self._keep(block, next(slots), self._checked(block, data[at : at + BLOCK_BYTES]))

    def _asked(self, runs: list[list[int]]) -> list[bytes]:
        asked = []
        for first, last in runs:
            file, _ = self._file_of(first)
            start = (first - int(self.starts[file])) * BLOCK_BYTES
            stop = min(start + (last - first + 1) * BLOCK_BYTES, self._files[file].piece.bytes)
            asked.append((self._files[file].piece.object, start, stop))
        self.requests += len(asked)
        found = self._store.ranges(asked)
        self.fetched_bytes += sum(map(len, found))
        return found

    def _checked(self, block: int, data: bytes) -> bytes:
        """A block that is what was uploaded; asked for once more if it is not: it may have suffered on the way."""
        file, _ = self._file_of(block)
        expected = self._expected(file, block)
        if self._digest(data) != expected:
            (data,) = self._asked([[block, block]])
        if self._digest(data) != expected:
            at, stored = (block - int(self.starts[file])) * BLOCK_BYTES, self._files[file]
            raise DamagedMemoryError(
                f"{self._store.url(stored.piece.object)} ({stored.name}) is damaged: bytes {at:,} to "
                f"{at + len(data):,} are not those that were uploaded; upload the memory again"
            )
        return data

    def _keep(self, block: int, slot: int, data: bytes) -> None:
        before = int(self._block_in[slot])
        if before not in (_NOT_HERE, block):
            self._slot_of[before] = _NOT_HERE
        with writing(self.path):
            left = memoryview(data)
            while left:
                left = left[os.pwrite(self._local, left, slot * BLOCK_BYTES + len(data) - len(left)) :]
        self._slot_of[block], self._block_in[slot], self._used[slot] = slot, block, self._turn

    def _free_slots(self, blocks: list[int]) -> list[int]:
        """Places for blocks: those that were not asked for the longest time, never one of this turn."""
        if self.shared:
            return blocks
        oldest: list[int] = np.argpartition(self._used, len(blocks) - 1)[: len(blocks)].tolist()
        return oldest

    def _file_of(self, block: int) -> tuple[int, int]:
        """The file of a block, and the bytes that the block has."""
        file = int(np.searchsorted(self.starts, block, side="right")) - 1
        at = (block - int(self.starts[file])) * BLOCK_BYTES
        return file, min(BLOCK_BYTES, self._files[file].piece.bytes - at)

    def _expected(self, file: int, block: int) -> bytes:
        known = self._digests[file]
        if known is None:
            stored = self._files[file]
            piece, url = stored.ranges.blocks, self._store.url(stored.ranges.blocks.object)
            self.requests += 1
            data = require_digest(self._store.get(piece.object), piece.blake2b, url)
            self.fetched_bytes += len(data)
            known = self._digests[file] = digests_in(data, stored.piece.bytes, url)
        return bytes(known[block - int(self.starts[file])])

    @staticmethod
    def _digest(data: bytes) -> bytes:
        return hashlib.blake2b(data, digest_size=16).digest()
