"""Generations: replacing what a memory directory holds by something newer, and taking that back.

Covers: replacing a memory's generation, `undo`. Does not cover: making the new generation (cluster), new memories
(staging.py).

A memory has a manifest and, from its first change on, the manifest before it, `manifest.previous.json`. The files of
both, kept batches among them, are kept and never changed; files of older generations are removed once the new manifest
is durable. Replacing the manifest by rename is the change: before it the old memory is whole, after it the new one.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import ConfigError, FencedError, NotMemorizedError
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.working import WorkingShards

PREVIOUS_FILE = "manifest.previous.json"
_NEXT_FILE = "manifest.next.json"


def replace_generation(memory: Path, expected: Manifest, newer: Path) -> None:
    """Make the memory in directory `newer` the next generation of `memory`.

    Args:
        expected: the manifest that the new generation was made from.

    Raises:
        ConfigError: the memory was changed meanwhile; it is left as it is.
        StorageError: the disk does not allow it; the memory is left as it is.
    """
    manifest = Manifest.read(newer)
    with locked(memory):
        if Manifest.read(memory).to_json() != expected.to_json():
            raise ConfigError(f"{memory} was changed by another command meanwhile; run this one again")
        try:
            with writing(memory):
                there = set(shard_files(expected))  # of a change that is written beside them
                for name in shard_files(manifest):
                    if name not in there:
                        link_file(newer / name, memory / name)
                _take_batches(manifest, newer, memory)
                sync_directory(memory)
                write_text(memory / _NEXT_FILE, manifest.to_json())
                write_text(memory / PREVIOUS_FILE, expected.to_json())  # the last that takes room
                (memory / _NEXT_FILE).rename(memory / MANIFEST_FILE)
                sync_directory(memory)
        finally:
            _sweep(memory)


def undo(memory: Path) -> Manifest:
    """Go back to the generation before the last change; returns the manifest that is current now.

    Raises:
        NotMemorizedError: there is none: nothing was changed, or the last change was taken back already.
        DamagedMemoryError: a file of it is missing or altered; nothing is changed.
        StorageError: the disk does not allow it.
    """
    previous = memory / PREVIOUS_FILE
    Manifest.read(memory)
    with locked(memory):
        current = Manifest.read(memory)
        manifest = Manifest.read(memory, PREVIOUS_FILE) if previous.exists() else current
        if manifest == current:  # also after a power cut between the two renames of a change
            raise NotMemorizedError(f"{memory} keeps no earlier generation to go back to; nothing changed")
        require_whole(memory, manifest)
        with writing(memory):
            previous.rename(memory / MANIFEST_FILE)
            sync_directory(memory)
        _sweep(memory)
    return manifest


def previous_manifest(memory: Path) -> Manifest | None:
    """Of the generation that `undo` would go back to; None if there is none."""
    return Manifest.read(memory, PREVIOUS_FILE) if (memory / PREVIOUS_FILE).exists() else None


def drop_previous(memory: Path) -> None:
    """Remove the generation that `undo` would go back to, with every file that only it has.

    Raises:
        StorageError: the disk does not allow it.
    """
    with locked(memory), writing(memory):
        (memory / PREVIOUS_FILE).unlink(missing_ok=True)
        sync_directory(memory)
        _sweep(memory)
        sync_directory(memory)


def verify_previous(memory: Path) -> None:
    """Check the generation that `undo` would go back to, if there is one.

    Raises:
        DamagedMemoryError: a file of it is missing or altered; it is named.
    """
    if (memory / PREVIOUS_FILE).exists():
        require_whole(memory, Manifest.read(memory, PREVIOUS_FILE))


def require_whole(memory: Path, manifest: Manifest) -> None:
    """Check every byte of a generation's files against its manifest.

    Raises:
        DamagedMemoryError: one is missing or altered; it is named.
    """
    shards = WorkingShards(memory, manifest, 0)
    try:
        shards.verify()
    finally:
        shards.close()
    KeptBatches(memory, manifest).verify()


def shard_files(manifest: Manifest) -> list[str]:
    """The names of all files of a generation that lie beside its manifest and belong to it alone."""
    records = [*manifest.shards, *(record for segment in manifest.segments for record in segment.files)]
    documents = [record.documents.file for record in records if record.documents is not None]
    taken = {name for batch in manifest.batches for name in batch.taken}
    return [*(record.file for record in records), *documents, *sorted(taken)]


@contextmanager
def locked(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other commands that lock the same directory waiting; the lock ends with the process at the latest.

    Raises:
        FencedError: another command has locked it, or has removed it since, and `wait` is false.
    """
    busy = FencedError(f"another command works in {directory}; wait until it is done, or choose another output")
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise busy from error
        if not wait and not os.fstat(handle).st_nlink:
            raise busy
        yield
    finally:
        os.close(handle)


def link_file(source: Path, target: Path) -> None:
    """Make a file that does not change appear under a second name, in place of what is there; durably but for the
    directory."""
    target.unlink(missing_ok=True)  # of an attempt that ended before its manifest was written
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
        with open(target, "rb+") as handle:
            os.fsync(handle.fileno())


def sweep_batches(directory: Path, kept: set[str]) -> None:
    """Remove files of batches that no manifest lists, and their folder if none is left."""
    folder = directory / BATCHES_FOLDER
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink(missing_ok=True)
    with suppress(OSError):  # it is not empty
        folder.rmdir()


def _take_batches(manifest: Manifest, newer: Path, memory: Path) -> None:
    """The batches that the new generation has and the old one lacks; a name says the content."""
    if not manifest.batches:
        return
    folder = memory / BATCHES_FOLDER
    folder.mkdir(exist_ok=True)
    for record in manifest.batches:
        if not (folder / record.file).exists():
            link_file(newer / BATCHES_FOLDER / record.file, folder / record.file)
    sync_directory(folder)


def _sweep(memory: Path) -> None:
    """Remove what neither generation lists."""
    (memory / _NEXT_FILE).unlink(missing_ok=True)
    generations = [Manifest.read(memory)]
    if (memory / PREVIOUS_FILE).exists():
        generations.append(Manifest.read(memory, PREVIOUS_FILE))
    kept = {name for manifest in generations for name in shard_files(manifest)}
    for file in memory.glob("shard-*"):
        if file.name not in kept:
            file.unlink(missing_ok=True)
    sweep_batches(memory, {record.file for manifest in generations for record in manifest.batches})
