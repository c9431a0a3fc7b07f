"""OpenMemory: a memory directory opened for reading, whatever its form.

Covers: opening one, its tokenizer, reading, verifying. Does not cover: the forms (working.py, published_reader.py), the
manifest (manifest.py), changing a memory (generations.py).
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memo_dist.device.backend import array_module
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, Manifest
from memo_dist.files.published_reader import PublishedShards
from memo_dist.files.solved_reader import SolvedShards
from memo_dist.files.working import WorkingShards
from memo_dist.models import encoder_for, model_of
from memo_dist.models.cues import Cues, Encoder
from memo_dist.models.text.followers import Followers
from memo_dist.shard import memory_digest
from memo_dist.solved.walk import Walked
from memo_dist.tokenizer import Tokenizer

if TYPE_CHECKING:
    from memo_dist.remote.located import RemoteFiles, StoreCache

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

    def token_counts(self) -> np.ndarray | None:
        """See OpenMemory."""
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
        remote: the store that most of it is in; None: it is here.
    """

    def __init__(self, path: Path, manifest: Manifest, shards: Shards, *, remote: "RemoteFiles | None" = None) -> None:
        self.path, self.manifest, self.config = path, manifest, manifest.config
        self._shards, self.remote = shards, remote

    def __enter__(self) -> "OpenMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._shards.close()

    @property
    def is_published(self) -> bool:
        """Whether it is for recall only."""
        return self.manifest.bits > 0 or self.is_solved

    @property
    def is_solved(self) -> bool:
        """Whether it is published with its values solved for."""
        return self.manifest.solved is not None

    @property
    def tokenizer(self) -> Tokenizer | None:
        """None for a memory of bare token ids.

        Raises:
            DamagedMemoryError: tokenizer.json is missing or not the one that the manifest names.
        """
        return read_tokenizer(self.path, self.manifest)

    @cached_property
    def encoder(self) -> Encoder:
        """Tokens -> cues."""
        return encoder_for(self.config, self.tokenizer)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all files of the directory; of a memory in a store, of those that its manifest lists."""
        if self.remote is not None:
            return self.remote.total_bytes
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models.cues.Reader.

        Raises:
            DamagedMemoryError: a bank that is asked does not match its digest.
        """
        return self._shards.read(cues)

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, how many distinct associations have each token as the next one; None for the preset paper.

        Raises:
            DamagedMemoryError: they do not match the manifest.
        """
        return self._shards.token_counts()

    @property
    def has_ledger(self) -> bool:
        """Whether associations are counted, so that they can be read without noise."""
        return not self.is_published and model_of(self.config).has_ledger

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes; see models.cues.Reader.

        Raises:
            ConfigError: the memory keeps no ledger. DamagedMemoryError: a bank's ledger does not match its digest.
        """
        if not self.has_ledger:
            raise ConfigError(f"{self.path} keeps no ledger to be read exactly; read its matrices (read='matrices')")
        return self.require_working().followers(hashes)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents (low halves of keys) that each of (m,) window hashes is an anchor of.

        Raises:
            ConfigError: the memory keeps no ledger. DamagedMemoryError: a bank's anchors do not match their digest.
        """
        if isinstance(self._shards, SolvedShards):
            return self._shards.documents_at(hashes)
        if not self.has_ledger:
            raise ConfigError(f"{self.path} keeps no ledger, so it does not know where its documents are")
        return self.require_working().documents_at(hashes)

    @property
    def check_bits(self) -> int:
        """Of a solved memory's values; 0 of another."""
        return 0 if self.manifest.solved is None else self.manifest.solved.check_bits

    def walk(self, cues: Cues) -> Walked:
        """What a solved memory tells of each cue; see models.cues.Reader.

        Raises:
            ConfigError: it is no solved memory. DamagedMemoryError: a table does not match its digest.
        """
        if not isinstance(self._shards, SolvedShards):
            raise ConfigError(f"{self.path} is not published with its values solved for")
        return self._shards.walk(cues)

    def anchors_at(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a solved memory: see SolvedShards.

        Raises:
            ConfigError: it is no solved memory. DamagedMemoryError: a table does not match its digest.
        """
        if not isinstance(self._shards, SolvedShards):
            raise ConfigError(f"{self.path} is not published with its values solved for")
        return self._shards.anchors_at(hashes)

    def verify(self) -> None:
        """Check every byte: files against the manifest, kept batches among them, banks and ledgers against digests.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        _ = self.tokenizer
        self._shards.verify()
        self.kept.verify()

    @property
    def kept(self) -> KeptBatches:
        """The token batches that it keeps; none where `manifest.keeps_tokens` is false."""
        return KeptBatches(self.path, self.manifest)

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the lower 32 bits of their keys (document_key); see WorkingShards.

        Raises:
            ConfigError: the memory is published as sums.
        """
        if isinstance(self._shards, SolvedShards):
            return self._shards.documents_named(low)
        return self.require_working().documents_named(low)

    def _published_how(self) -> str:
        return "" if self.is_solved else f" at {self.manifest.bits} bits"

    def require_working(self) -> WorkingShards:
        """Its shards, with what it takes to change the memory or to load it into shards in memory.

        Raises:
            ConfigError: the memory is published.
        """
        if not isinstance(self._shards, WorkingShards):
            raise ConfigError(
                f"{self.path} is published{self._published_how()} for recall only, without a ledger: nothing can "
                "be added, forgotten or merged. Change the memory that it was made from, and publish that again"
            )
        return self._shards


def open_memory(
    path: str | Path, *, cache_bytes: int = DEFAULT_CACHE, device: str = "cpu", kept: "StoreCache | None" = None
) -> OpenMemory:
    """Open a memory directory of any form for reading. Banks are read as queries need them, each checked.

    Args:
        path: the directory, or the address of a published memory in an object store (memo_dist/remote).
        cache_bytes: banks kept in memory once read; a published memory is mapped, and the system keeps what is used.
        device: "gpu" for the tables of a solved memory, all checked first, on a GPU; "auto" where there is one.
        kept: where a memory in a store is kept here as far as it was read; None: StoreCache.default().

    Raises:
        ConfigError: no GPU answers, or the memory is none that is read on one, or from a store.
        DamagedMemoryError: the directory is not a whole memory; the file at fault is named.
        StorageError: the store does not answer.
    """
    directory, remote = _directory_of(path, kept)
    manifest = Manifest.read(directory)
    if device == "gpu" and manifest.solved is None:
        raise ConfigError(f"{directory}: only a memory published with solved values is read on a GPU; leave device out")
    shards = _shards(directory, manifest, cache_bytes=cache_bytes, device=device, remote=remote)
    if memory_digest(manifest.config, manifest.tokenizer_hash, shards.digests) != manifest.digest:
        raise DamagedMemoryError(f"{directory}: the shards together do not give the digest in {MANIFEST_FILE}")
    return OpenMemory(directory, manifest, shards, remote=remote)


def manifest_at(path: str | Path) -> Manifest:
    """The manifest of a memory, wherever it is, once its parts were found to belong together; errors as open_memory."""
    with open_memory(path) as opened:
        return opened.manifest


def _directory_of(path: str | Path, kept: "StoreCache | None") -> "tuple[Path, RemoteFiles | None]":
    """The directory of a memory, and what of it is in a store."""
    from memo_dist.remote.located import found_at

    return found_at(path, kept)


def _shards(
    directory: Path, manifest: Manifest, *, cache_bytes: int, device: str, remote: "RemoteFiles | None"
) -> Shards:
    """The form of a memory."""
    if manifest.solved is not None:
        return SolvedShards(directory, manifest, array_module(device), remote=remote)
    if manifest.bits:
        return PublishedShards(directory, manifest, remote)
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
