"""Uploading: a memory directory -> a memory in a store, which is there whole or not at all.

Covers: objects, checking them, the root put last and only where there is none; going on after a kill; what is left of a
lost race. Does not cover: how objects are put (store.py).

Every object is named by its digest, so one that is there need not be put again, whoever has put it. The root is put by
a conditional put: of two that make the same memory one puts it, and the other is told who did.
"""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memo_dist.durable import file_digest, write_text, writing
from memo_dist.errors import DamagedMemoryError, FencedError, OutputExistsError, StorageError
from memo_dist.files.journal import now
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.remote.heads import blocks_of, head_of
from memo_dist.remote.root import (
    MOST_ROOT,
    OBJECTS,
    ROOT,
    Maker,
    Piece,
    Ranges,
    Root,
    digest_of,
    files_of,
    names_beside,
)
from memo_dist.remote.store import Store

OnUpload = Callable[[int, int], None]


@dataclass(frozen=True)
class Uploaded:
    """What was uploaded: objects and bytes put by this call, objects that were there already, bytes of all."""

    put: int
    put_bytes: int
    found: int
    total_bytes: int


def root_in(store: Store) -> Root | None:
    """The root of the memory that is there; None if there is none.

    Raises:
        DamagedMemoryError: what is there is none. StorageError: the store does not answer.
    """
    size = store.size(ROOT)
    if size is None:
        return None
    if size > MOST_ROOT:
        raise DamagedMemoryError(f"{store.url(ROOT)} has {size:,} bytes; a root has {MOST_ROOT:,} at most")
    data = store.get(ROOT)
    return None if data is None else Root.from_bytes(data, store.url(ROOT))


def refuse_taken(store: Store) -> None:
    """Before long work: the store answers, and has no memory at the address.

    Raises:
        OutputExistsError: there is one. StorageError: the store does not answer.
    """
    there = root_in(store)
    if there is not None:
        raise OutputExistsError(
            f"{store.address} exists, committed by {there.maker}; nothing was changed. Choose another name, or remove "
            "it there"
        )


def upload(
    directory: Path, store: Store, *, notes: Path | None = None, on_upload: OnUpload = lambda done, total: None
) -> Uploaded:
    """Upload a memory and commit it.

    Args:
        directory: the memory; every file is checked against its manifest on the way.
        notes: a file for what was read back, so that the next attempt need not; None: there is none.
        on_upload: called with bytes that are there, and of all.

    Raises:
        FencedError: another command has committed a memory at the address meanwhile; it is named. Objects that only
            this one has put are removed.
        DamagedMemoryError: a file is not what the manifest says; nothing is committed. StorageError: the store does not
            take an object, or does not give back what it took.
    """
    manifest = Manifest.read(directory)
    job = _Upload(directory, store, notes, on_upload=on_upload)
    root = job.put_all(manifest)
    if not store.put_new(ROOT, root.to_bytes()):
        winner = root_in(store)
        if winner is None:
            raise StorageError(f"{store.url(ROOT)} is said to be there, and is not; run the command again")
        if winner.manifest != root.manifest:  # else an attempt of this command put it, and was killed or not answered
            job.remove_own(_objects(winner, store))
            raise FencedError(_told(store, winner, manifest))
    job.sweep(_objects(root, store))
    return job.summary


class _Upload:
    """One upload under way."""

    def __init__(self, directory: Path, store: Store, notes: Path | None, *, on_upload: OnUpload) -> None:
        self._directory, self._store, self._notes, self._on_upload = directory, store, notes, on_upload
        self._there, self._own = set(store.names(OBJECTS)), set[str]()
        self._checked = self._earlier()
        self._put_bytes = self._found = self._done = self._total = 0

    @property
    def summary(self) -> Uploaded:
        return Uploaded(len(self._own), self._put_bytes, self._found, self._total)

    def put_all(self, manifest: Manifest) -> Root:
        """Every object but the root, which is returned."""
        files = files_of(manifest)
        by_range = [] if manifest.solved is None and not manifest.bits else [n for n in files if n.endswith(".h5")]
        self._total = sum(piece.bytes for piece in files.values())
        for name, piece in files.items():
            self._put_file(self._directory / name, piece)
        ranges = {name: self._ranges(self._directory / name) for name in by_range}
        beside = sorted(names_beside(manifest))
        others = {name: self._put_bytes_of((self._directory / name).read_bytes()) for name in beside}
        text = (self._directory / MANIFEST_FILE).read_bytes().decode()
        return Root(text, others, ranges, Maker(socket.gethostname(), os.getpid(), now()))

    def _ranges(self, path: Path) -> Ranges:
        return Ranges(head=self._put_bytes_of(head_of(path)), blocks=self._put_bytes_of(blocks_of(path)))

    def _put_file(self, path: Path, piece: Piece) -> None:
        if not self._is_there(piece):
            if not path.is_file():
                raise DamagedMemoryError(f"{path} is missing; the manifest lists it. Restore it or build again")
            if path.stat().st_size != piece.bytes or file_digest(path) != piece.blake2b:
                raise DamagedMemoryError(f"{path} does not match the manifest's checksum; restore it or build again")
            self._store.put(piece.object, path)
            self._check(piece)
        self._done += piece.bytes
        self._on_upload(self._done, self._total)

    def _put_bytes_of(self, data: bytes) -> Piece:
        piece = Piece(digest_of(data), len(data))
        if not self._is_there(piece):
            self._store.put_bytes(piece.object, data)
            self._check(piece)
        return piece

    def _is_there(self, piece: Piece) -> bool:
        """Whether an object was put and read back by an attempt of this command; one put by others is read back."""
        if piece.blake2b not in self._there or self._store.size(piece.object) != piece.bytes:
            return False
        if piece.blake2b not in self._checked:
            try:
                self._read_back(piece)
            except StorageError:
                return False  # it is put again
        self._found += 1
        return True

    def _check(self, piece: Piece) -> None:
        self._own.add(piece.blake2b)
        self._put_bytes += piece.bytes
        self._read_back(piece)

    def _read_back(self, piece: Piece) -> None:
        state = hashlib.blake2b(digest_size=16)
        try:
            for part in self._store.parts(piece.object, piece.bytes):
                state.update(part)
        except DamagedMemoryError as error:
            raise StorageError(f"{error}; it was put a moment ago") from error
        if state.hexdigest() != piece.blake2b:
            raise StorageError(
                f"{self._store.url(piece.object)}, read back, is not what was put there; run the command again"
            )
        self._checked.add(piece.blake2b)
        if self._notes is not None:
            with writing(self._notes):
                write_text(self._notes, "\n".join([self._store.address.url, *sorted(self._checked)]))

    def _earlier(self) -> set[str]:
        """The objects that an earlier attempt has read back at this address."""
        if self._notes is None:
            return set()
        try:
            address, *found = self._notes.read_text(encoding="utf-8").split("\n")
        except OSError:
            return set()
        return set(found) if address == self._store.address.url else set()

    def remove_own(self, kept: set[str]) -> None:
        """Of a lost race: the objects that this attempt put and the memory that is there does not have."""
        for name in sorted(self._own - kept):
            self._store.remove(f"{OBJECTS}/{name}")

    def sweep(self, kept: set[str]) -> None:
        """Once committed: what other attempts have left. Nothing else can be committed at the address any more."""
        for name in sorted(set(self._store.names(OBJECTS)) - kept):
            self._store.remove(f"{OBJECTS}/{name}")


def _objects(root: Root, store: Store) -> set[str]:
    """The names of all objects of a memory."""
    return {piece.blake2b for piece in pieces_of(root, manifest_in(root, store))}


def pieces_of(root: Root, manifest: Manifest) -> Iterator[Piece]:
    """All objects of a memory but its root."""
    yield from files_of(manifest).values()
    yield from root.others.values()
    for one in root.ranges.values():
        yield from (one.head, one.blocks)


def manifest_in(root: Root, store: Store) -> Manifest:
    """The manifest that a root holds, checked.

    Raises:
        DamagedMemoryError: it is none.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="memo-dist-") as folder:
        (Path(folder) / MANIFEST_FILE).write_bytes(root.manifest.encode())
        try:
            return Manifest.read(Path(folder))
        except DamagedMemoryError as error:
            raise DamagedMemoryError(f"{store.url(ROOT)}: {str(error).replace(folder + '/', '')}") from error


def _told(store: Store, winner: Root, ours: Manifest) -> str:
    theirs = manifest_in(winner, store).digest
    same = "the same memory as this command's" if theirs == ours.digest else f"another memory, of digest {theirs}"
    return (
        f"{store.address} was committed meanwhile by {winner.maker}; it holds {same}. This command has changed nothing "
        "there"
    )
