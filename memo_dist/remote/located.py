"""Located: a published memory in a store -> a directory here that readers open, of which most is still in the store.

Covers: the directory, what is read when a memory is opened, the size of the cache. Does not cover: reading the rest
(blocks.py), memories that can change, which are copied first (copying.py).

    CACHE/memories/KEY/NAME.memo/   root.json, manifest.json, tokenizer.json, files that are holes but for their heads,
                                    and `blocks`, what was fetched of these
KEY is of the address and the root: a memory that is put anew at an address gets a directory of its own.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from memo_dist.durable import file_digest, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.remote.address import Address, address_in
from memo_dist.remote.blocks import Blocks, StoredFile
from memo_dist.remote.heads import BLOCK_BYTES, require_digest, spread_head
from memo_dist.remote.root import ROOT, Root, digest_of, files_in
from memo_dist.remote.store import Store
from memo_dist.remote.uploading import root_in

DEFAULT_CACHE_BYTES = 16_000_000_000
_ROOT_FILE, _BLOCKS_FILE, _ADDRESS_FILE = "root.json", "blocks", "address"


@dataclass(frozen=True)
class StoreCache:
    """Where memories in stores are kept here as far as they were read, and how many bytes they may take together."""

    directory: Path
    most_bytes: int

    @classmethod
    def default(cls) -> "StoreCache":
        """Where programs keep what they can fetch again; half of the disk's free bytes at most."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        directory = Path(base) / "memo-dist"
        there = next(one for one in (directory, *directory.parents) if one.exists())
        return cls(directory, min(DEFAULT_CACHE_BYTES, shutil.disk_usage(there).free // 2))


class RemoteFiles:
    """What a directory that `located` made has in a store; held open, so that no other command makes room of it.

    Attributes:
        blocks: of the files that are read by range. files: their places among these, by name.
    """

    def __init__(self, directory: Path, cache: StoreCache) -> None:
        self.directory = directory
        address = address_in((directory / _ADDRESS_FILE).read_text(encoding="utf-8"))
        assert address is not None
        self.store = Store(address)
        root = Root.from_bytes((directory / _ROOT_FILE).read_bytes(), self.store.url(ROOT))
        self._pieces = files_in(root, Manifest.read(directory), self.store.url(ROOT))
        stored = [StoredFile(name, self._pieces[name], ranges) for name, ranges in root.ranges.items()]
        self.files = {file.name: index for index, file in enumerate(stored)}
        self.total_bytes = sum(piece.bytes for piece in self._pieces.values())
        self._held = os.open(directory, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_SH)
        self.blocks = Blocks(self.store, stored, place=directory / _BLOCKS_FILE, most_bytes=cache.most_bytes)

    def take(self, name: str) -> None:
        """Have a file here as a whole.

        Raises:
            DamagedMemoryError: its object is missing or damaged. StorageError: it cannot be read, or written here.
        """
        path, piece = self.directory / name, self._pieces[name]
        if path.exists():
            return
        download(self.store, piece.object, path, size=piece.bytes, blake2b=piece.blake2b)

    def mapped(self, name: str, offset: int) -> tuple[Path, int]:
        """Where a byte of a file is in a local file that can be mapped.

        Raises:
            ConfigError: the cache has no room for all files.
        """
        if not self.blocks.shared:
            raise ConfigError(
                f"{self.store.address} is published as sums of {self.total_bytes:,} bytes, and the cache has room for "
                "less; give it more, --cache-size, or copy the memory here, memo-dist copy"
            )
        return self.blocks.path, int(self.blocks.starts[self.files[name]]) * BLOCK_BYTES + offset

    def have(self, name: str, spans: Sequence[tuple[int, int]]) -> None:
        """Have spans of bytes of a file here; see Blocks.have."""
        self.blocks.have(self.files[name], spans)

    def verify(self) -> None:
        """Read every byte in the store; see Blocks.verify."""
        self.blocks.verify()
        for name, piece in self._pieces.items():
            if name in self.files:
                continue
            state, url = hashlib.blake2b(digest_size=16), self.store.url(piece.object)
            for part in self.store.parts(piece.object, piece.bytes):
                state.update(part)
            if state.hexdigest() != piece.blake2b:
                raise DamagedMemoryError(f"{url} ({name}) does not match the manifest's checksum; upload it again")

    def close(self) -> None:
        """Let go of the local files; again does nothing."""
        if self._held >= 0:
            self.blocks.close()
            os.close(self._held)
            self._held = -1


def located(address: Address, cache: StoreCache) -> Path:
    """The directory here of a published memory in a store; what is missing of it is read.

    Raises:
        DamagedMemoryError: there is no memory, or an object of it is not what it should be; it is named.
        ConfigError: the memory there can change, and is not read by range.
        StorageError: the store does not answer; the disk here is full.
    """
    store = Store(address)
    root = root_in(store)
    if root is None:
        raise DamagedMemoryError(f"{address} does not exist; expected a memory that memo-dist put there")
    key = digest_of(f"{address}\n".encode() + root.to_bytes())
    directory = cache.directory / "memories" / key / address.name
    with writing(directory):
        cache.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not directory.exists():
        _begin(directory, store, root)
    os.utime(directory)
    _make_room(cache, directory)
    return directory


def found_at(place: str | Path, kept: StoreCache | None = None) -> tuple[Path, RemoteFiles | None]:
    """The directory of a memory, and what it has in a store; None of a memory that is here as a whole.

    Args:
        place: a directory, or an address. kept: None: StoreCache.default().

    Raises:
        MemoError: see `located`.
    """
    address, directory = address_in(place), Path(place)
    if address is not None:
        kept = kept or StoreCache.default()
        directory = located(address, kept)
        return directory, RemoteFiles(directory, kept)
    if not (directory / _ADDRESS_FILE).is_file():
        return directory, None
    kept = kept or StoreCache.default()
    if not directory.resolve().is_relative_to(kept.directory.resolve()):
        return directory, None  # somebody else's file is no reason to ask a store
    return directory, RemoteFiles(directory, kept)


def download(store: Store, name: str, path: Path, *, size: int, blake2b: str) -> None:
    """An object as a file, once its digest is right: temporary name, rename; errors as for RemoteFiles.take."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            with open(temporary, "wb") as file:
                for part in store.parts(name, size):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            if file_digest(temporary) != blake2b:
                raise DamagedMemoryError(f"{store.url(name)} ({path.name}) is damaged; upload the memory again")
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _begin(directory: Path, store: Store, root: Root) -> None:
    """What is read when a memory is opened for the first time: manifest, tokenizer and heads."""
    staging = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing(directory):
            staging.mkdir()
            (staging / MANIFEST_FILE).write_bytes(root.manifest.encode())
        manifest = Manifest.read(staging)
        if manifest.solved is None and not manifest.bits:
            raise ConfigError(
                f"{store.address} can change, and is not read from a store: copy it first, memo-dist copy "
                f"{store.address} --out M.memo; or publish it to a store, and ask that"
            )
        pieces = files_in(root, manifest, store.url(ROOT))
        for name, ranges in root.ranges.items():
            url = store.url(ranges.head.object)
            head = require_digest(store.get(ranges.head.object), ranges.head.blake2b, url)
            spread_head(head, staging / name, pieces[name].bytes, url=url)
        for name, piece in root.others.items():
            (staging / name).write_bytes(
                require_digest(store.get(piece.object), piece.blake2b, store.url(piece.object))
            )
        (staging / _ROOT_FILE).write_bytes(root.to_bytes())
        (staging / _ADDRESS_FILE).write_text(str(store.address), encoding="utf-8")
        with suppress(OSError), writing(directory):  # another command was faster
            staging.rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _make_room(cache: StoreCache, ours: Path) -> None:
    """Remove memories that were not opened for the longest time, while the cache is larger than it may be."""
    folder = cache.directory / "memories"
    found = sorted((one.stat().st_mtime, one) for one in folder.glob("*/*") if one != ours and one.is_dir())
    sizes = {one: _bytes_in(one) for _, one in found}
    total = sum(sizes.values()) + _bytes_in(ours)
    for _, one in found:
        if total <= cache.most_bytes:
            return
        with _unused(one) as unused:
            if unused:
                shutil.rmtree(one.parent, ignore_errors=True)
                total -= sizes[one]


def _bytes_in(directory: Path) -> int:
    """That a directory's files take on the disk, holes aside."""
    total = 0
    for file in directory.glob("*"):
        with suppress(OSError):
            total += 512 * file.stat().st_blocks
    return total


@contextmanager
def _unused(directory: Path) -> Iterator[bool]:
    """Whether no process has a memory of the cache open; none can while this lasts."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
