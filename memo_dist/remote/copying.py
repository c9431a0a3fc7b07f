"""Copying: a memory from a directory to a store, or from a store to a directory; the same memory on both sides.

Covers: both ways. Does not cover: objects going up (uploading.py), reading a memory in its store (located.py).
"""

from collections.abc import Callable
from pathlib import Path

from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import staged_output
from memo_dist.remote.address import Address, address_in
from memo_dist.remote.located import download
from memo_dist.remote.root import ROOT, files_in
from memo_dist.remote.store import Store
from memo_dist.remote.uploading import refuse_taken, root_in, upload

OnCopy = Callable[[int, int], None]


def copy_memory(source: str, target: str, *, on_copy: OnCopy = lambda done, total: None) -> Manifest:
    """Copy a memory; one of the two is an address.

    Args:
        on_copy: called with bytes copied, and of all.

    Raises:
        ConfigError: none of the two is an address, or both are.
        OutputExistsError: the target exists. FencedError: another command was faster.
        DamagedMemoryError: the source is not whole. StorageError: the store or the disk does not allow it.
    """
    above, below = address_in(source), address_in(target)
    if above is not None and below is None:
        return _fetched(above, Path(target), on_copy)
    if above is None and below is not None:
        store, directory = Store(below), Path(source)
        manifest = Manifest.read(directory)
        refuse_taken(store)
        upload(directory, store, on_upload=on_copy)
        return manifest
    raise ConfigError(
        f"{source} and {target} are {'directories' if above is None else 'addresses'}; copy goes from a directory to "
        "an address such as s3://bucket/name.memo, or back"
    )


def _fetched(address: Address, out: Path, on_copy: OnCopy) -> Manifest:
    store = Store(address)
    root = root_in(store)
    if root is None:
        raise DamagedMemoryError(f"{address} does not exist; expected a memory that memo-dist put there")
    with staged_output(out) as staging:
        with writing(staging):
            (staging / "read").mkdir()
            write_text(staging / "read" / MANIFEST_FILE, root.manifest)
            manifest = Manifest.read(staging / "read")  # what it lists is not believed before it is checked
            (staging / "read" / MANIFEST_FILE).rename(staging / MANIFEST_FILE)
            (staging / "read").rmdir()
        pieces = files_in(root, manifest, store.url(ROOT))
        done, total = 0, sum(piece.bytes for piece in pieces.values())
        for name, piece in pieces.items():
            (staging / name).parent.mkdir(exist_ok=True)
            download(store, piece.object, staging / name, size=piece.bytes, blake2b=piece.blake2b)
            on_copy(done := done + piece.bytes, total)
        for folder in {(staging / name).parent for name in pieces}:
            sync_directory(folder)
        with open_memory(staging):  # the whole has the digest that the manifest says
            pass
    return manifest
