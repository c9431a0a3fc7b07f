"""OpenMemory: a memory directory opened for reading, whatever its form.

Covers: opening one, its tokenizer, reading, verifying. Does not cover: the forms (working.py, published_reader.py), the
manifest (manifest.py), changing a memory (generations.py).
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, Manifest
from memo_dist.files.published_reader import PublishedShards
from memo_dist.files.working import WorkingShards
from memo_dist.shard import memory_digest
from memo_dist.tokenizer import Tokenizer

DEFAULT_CACHE = 1 << 29


class Shards(Protocol):
    """The shard files of one form of memory, opened."""

    @property
    def digests(self) -> np.ndarray:
        """The bank digests of all shards, in bank order, as `memory_digest` takes them."""
        ...

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models.cues.Reader."""
        ...

    def verify(self) -> None:
        """Check every byte; DamagedMemoryError names the file at fault."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class OpenMemory:
    """A whole memory; a `Reader`. Made by `open_memory`.

    Args:
        path: the directory.
        manifest: what it says of itself.
        shards: the form decides what reads its shard files.
    """

    def __init__(self, path: Path, manifest: Manifest, shards: Shards) -> None:
        self.path, self.manifest, self.config = path, manifest, manifest.config
        self._shards = shards

    def __enter__(self) -> "OpenMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._shards.close()

    @property
    def is_published(self) -> bool:
        """Whether it is for recall only."""
        return self.manifest.bits > 0

    @property
    def tokenizer(self) -> Tokenizer | None:
        """None for a memory of bare token ids.

        Raises:
            DamagedMemoryError: tokenizer.json is missing or not the one that the manifest names.
        """
        return read_tokenizer(self.path, self.manifest)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all files of the directory."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models.cues.Reader.

        Raises:
            DamagedMemoryError: a bank that is asked does not match its digest.
        """
        return self._shards.read(cues)

    def verify(self) -> None:
        """Check every byte: files against the manifest, banks and ledgers against their digests.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        _ = self.tokenizer
        self._shards.verify()

    def require_working(self) -> WorkingShards:
        """Its shards, with what it takes to change the memory or to load it into shards in memory.

        Raises:
            ConfigError: the memory is published.
        """
        if not isinstance(self._shards, WorkingShards):
            raise ConfigError(
                f"{self.path} is published at {self.manifest.bits} bits for recall only, without a ledger: nothing can "
                "be added, forgotten or merged. Change the memory that it was made from, and publish that again"
            )
        return self._shards


def open_memory(path: str | Path, *, cache_bytes: int = DEFAULT_CACHE) -> OpenMemory:
    """Open a memory directory of any form for reading. Banks are read as queries need them, each checked.

    Args:
        cache_bytes: banks kept in memory once read; a published memory is mapped, and the system keeps what is used.

    Raises:
        DamagedMemoryError: the directory is not a whole memory; the file at fault is named.
    """
    directory = Path(path)
    manifest = Manifest.read(directory)
    shards = _shards(directory, manifest, cache_bytes)
    if memory_digest(manifest.config, manifest.tokenizer_hash, shards.digests) != manifest.digest:
        raise DamagedMemoryError(f"{directory}: the shards together do not give the digest in {MANIFEST_FILE}")
    return OpenMemory(directory, manifest, shards)


def _shards(directory: Path, manifest: Manifest, cache_bytes: int) -> Shards:
    """The form of a memory."""
    if manifest.bits:
        return PublishedShards(directory, manifest)
    return WorkingShards(directory, manifest, cache_bytes)


def read_tokenizer(directory: Path, manifest: Manifest) -> Tokenizer | None:
    """The memory's tokenizer, or None for a memory of bare token ids.

    Raises:
        DamagedMemoryError: tokenizer.json is missing or not the one the manifest names.
    """
    if not manifest.tokenizer_hash:
        return None
    path = directory / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_file(path)
    except ValueError as error:
        raise DamagedMemoryError(f"{path} cannot be read: {error}") from error
    spelled = path.read_text(encoding="utf-8") == tokenizer.definition
    if not spelled or tokenizer.hash != manifest.tokenizer_hash:
        raise DamagedMemoryError(f"{path} is not the tokenizer of this memory: restore it from a copy")
    return tokenizer
