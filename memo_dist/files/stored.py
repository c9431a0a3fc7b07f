"""Memory directories: publishing one atomically, reading one lazily, verifying one.

Covers: `NAME.memo/` as a whole. Does not cover: the inside of shard files (storage.py) and of the manifest
(manifest.py).
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.errors import ConfigError, DamagedMemoryError, OutputExistsError
from memo_dist.files.durable import sync_directory, write_text, writing
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, Manifest
from memo_dist.files.shard_reader import ShardFile
from memo_dist.files.shard_writer import ShardRecord
from memo_dist.models import model_of
from memo_dist.shard import memory_digest
from memo_dist.tokenizer import Tokenizer

DEFAULT_CACHE = 1 << 29


@contextmanager
def staged_output(out: Path) -> Iterator[Path]:
    """A new directory beside `out` to write into; renamed to `out` at the end, removed if anything fails.

    Raises:
        OutputExistsError: `out` exists.
        StorageError: the directory cannot be made.
    """
    refuse_existing(out)
    staging = out.with_name(f".{out.name}.staging")  # not a stopped build's workspace, which may hold a checkpoint
    made = [parent for parent in out.absolute().parents if not parent.exists()]
    with writing(out):
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(parents=True)
    try:
        yield staging
        refuse_existing(out)
        with writing(out):
            sync_directory(staging)
            staging.rename(out)
            sync_directory(out.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # somebody else uses it by now
                parent.rmdir()
        raise


def refuse_existing(out: Path) -> None:
    """Raise OutputExistsError if `out` is there."""
    if out.exists() or out.is_symlink():
        raise OutputExistsError(f"{out} exists; nothing was changed. Remove it or choose another --out")


def shard_file(index: int) -> str:
    return f"shard-{index:05d}.h5"


def write_contents(
    directory: Path,
    config: MemoryConfig,
    tokenizer: Tokenizer | None,
    shards: list[tuple[ShardRecord, np.ndarray]],
    tokens: int,
    documents: int,
    sources: list[dict[str, Any]],
    bits: int = 0,
) -> Manifest:
    """Write tokenizer and manifest beside shard files that are written already; `bits` as in Manifest."""
    tokenizer_hash = tokenizer.hash if tokenizer else ""
    if tokenizer is not None:
        with writing(directory / TOKENIZER_FILE):
            write_text(directory / TOKENIZER_FILE, tokenizer.definition)
    digest = memory_digest(config, tokenizer_hash, np.concatenate([digests for _, digests in shards]))
    manifest = Manifest(
        config=config,
        tokenizer_hash=tokenizer_hash,
        digest=digest,
        tokens=tokens,
        documents=documents,
        associations=sum(record.associations for record, _ in shards),
        shards=[record for record, _ in shards],
        sources=sources,
        bits=bits,
    )
    manifest.write(directory)
    return manifest


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


class StoredMemory:
    """A memory directory opened for reading: banks are read as queries need them, each checked against its digest.

    Args:
        path: the directory.
        cache_bytes: banks kept in memory once read.

    Raises:
        DamagedMemoryError: the directory is not a whole memory; the file at fault is named.
    """

    def __init__(self, path: str | Path, cache_bytes: int = DEFAULT_CACHE) -> None:
        self.path = Path(path)
        self.manifest = Manifest.read(self.path)
        if self.manifest.bits:
            raise ConfigError(
                f"{path} is published at {self.manifest.bits} bits for recall only, without a ledger: nothing can be "
                "added, forgotten or merged. Change the memory that it was made from, and publish that again"
            )
        self.config = self.manifest.config
        self.shards = [
            ShardFile(self.path / record.file, record, self.config, self.manifest.tokenizer_hash)
            for record in self.manifest.shards
        ]
        digests = np.concatenate([shard.digests for shard in self.shards])
        if memory_digest(self.config, self.manifest.tokenizer_hash, digests) != self.manifest.digest:
            raise DamagedMemoryError(f"{self.path}: the shards together do not give the digest in {MANIFEST_FILE}")
        banks = max(self.config.num_heads, cache_bytes // self.config.bank_bytes)
        self._bank = lru_cache(maxsize=banks)(self._read_bank)

    def _read_bank(self, bank: int) -> np.ndarray:
        shard = next(s for s in self.shards if bank in s.banks)
        return shard.cells(bank)

    def __enter__(self) -> "StoredMemory":
        return self

    def __exit__(self, *_: object) -> None:
        for shard in self.shards:
            shard.close()

    @property
    def tokenizer(self) -> Tokenizer | None:
        """See read_tokenizer."""
        return read_tokenizer(self.path, self.manifest)

    @property
    def bytes_on_disk(self) -> int:
        return sum(file.stat().st_size for file in self.path.iterdir())

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see encoding.protocol.Reader."""
        return model_of(self.config).read_cells(self.config, cues, self._bank)

    def documents(self) -> np.ndarray:
        """Records of all documents, (n, 4) uint64, sorted by key; see DocumentRegistry.to_array.

        Raises:
            DamagedMemoryError: a file cannot be read.
        """
        rows = np.concatenate([shard.documents() for shard in self.shards])
        return rows[np.argsort(rows[:, 0])]

    def applied(self) -> set[str]:
        """Ids of the batches that are in the matrices of every shard.

        Raises:
            DamagedMemoryError: a file cannot be read.
        """
        return set.intersection(*(shard.applied() for shard in self.shards))

    def verify(self) -> None:
        """Check every byte: files against the manifest, banks and ledgers against their digests.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        _ = self.tokenizer
        for shard in self.shards:
            shard.verify()
