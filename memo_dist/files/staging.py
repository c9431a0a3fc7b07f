"""Staging: a new memory directory that is there whole or not at all.

Covers: a directory beside the output, renamed to it at the end; tokenizer and manifest beside shard files. Does not
cover: shard files (shard_writer.py, published_writer.py), builds that go on after a stop (cluster/workspace.py).
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import OutputExistsError
from memo_dist.files.journal import Entry
from memo_dist.files.manifest import TOKENIZER_FILE, BatchRecord, Manifest, ShardRecord
from memo_dist.memory_config import MemoryConfig
from memo_dist.shard import memory_digest
from memo_dist.tokenizer import Tokenizer


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
            with suppress(OSError):  # another process uses it by now
                parent.rmdir()
        raise


def refuse_existing(out: Path) -> None:
    """Raise OutputExistsError if `out` is there."""
    if out.exists() or out.is_symlink():
        raise OutputExistsError(f"{out} exists; nothing was changed. Remove it or choose another place")


def write_contents(
    directory: Path,
    config: MemoryConfig,
    tokenizer: Tokenizer | None,
    *,
    shards: list[tuple[ShardRecord, np.ndarray]],
    tokens: int,
    documents: int,
    sources: Sequence[Entry],
    bits: int = 0,
    keeps_tokens: bool = False,
    batches: Sequence[BatchRecord] = (),
) -> Manifest:
    """Write tokenizer and manifest beside shard files that are written already.

    Args:
        shards: what the writer of each shard file returned, in bank order.
        tokens, documents, sources, bits, keeps_tokens, batches: as in Manifest; kept batches are written already.

    Raises:
        StorageError: a file cannot be written.
    """
    tokenizer_hash = tokenizer.hash if tokenizer else ""
    if tokenizer is not None:
        with writing(directory / TOKENIZER_FILE):
            write_text(directory / TOKENIZER_FILE, tokenizer.definition)
    manifest = Manifest(
        config=config,
        tokenizer_hash=tokenizer_hash,
        digest=memory_digest(config, tokenizer_hash, np.concatenate([digests for _, digests in shards])),
        tokens=tokens,
        documents=documents,
        associations=sum(record.associations for record, _ in shards),
        shards=[record for record, _ in shards],
        sources=list(sources),
        bits=bits,
        keeps_tokens=keeps_tokens,
        batches=sorted(batches, key=lambda batch: batch.file),
    )
    manifest.write(directory)
    return manifest
