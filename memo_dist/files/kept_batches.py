"""Kept batches: the token batches that a memory was made of, one Parquet file each in its folder `batches`.

Covers: writing a batch, reading one as the batch it was, all those of a memory. Does not cover: the batches themselves
(memo_dist/batches.py), who keeps them when (pipelines/keeping.py). The format is stated in docs/reference/format.md.

A file is named by its batch's id and the digest of its content, so a batch that is made twice is one file, and a file
is never changed. Token ids are of two bytes where the vocabulary allows, before zstd.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memo_dist.arrow_arrays import numbers_of
from memo_dist.batches import SCHEMA, BatchInfo, KeptChange
from memo_dist.durable import writing
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.checked import has_columns, read_group, require_bytes, texts_of
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.manifest import BatchRecord, Manifest
from memo_dist.files.taken_places import left_of

_LISTS = ("context", "tokens")
_TEXTS = [field.name for field in SCHEMA if field.name not in _LISTS]
_PLACES = ["document_id", "source", "position"]
_LEVEL = 9  # of zstd: a tenth smaller than its default, and of no account beside tokenizing
_MOST_BYTES = 1 << 33  # of a batch in memory: the places of its tokens count with 31 bits


def stored_schema(vocab_size: int) -> pa.Schema:
    """The columns of a kept batch: those of a batch, token ids as small as the vocabulary allows."""
    item = pa.field("item", pa.uint16() if vocab_size <= 1 << 16 else pa.int32(), nullable=False)
    return pa.schema([field.with_type(pa.list_(item)) if field.name in _LISTS else field for field in SCHEMA])


def write_batch(table: pa.Table, folder: Path, vocab_size: int) -> KeptChange:
    """Keep a batch as a file of `folder`: temporary name, fsync, rename. Writing the same batch again changes nothing.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    info = BatchInfo.of(table)
    temporary = folder / f"{info.batch_id}.{secrets.token_hex(4)}.tmp"
    stored = table.cast(stored_schema(vocab_size).with_metadata(info.to_metadata()))
    sink = pa.BufferOutputStream()
    pq.write_table(
        stored,
        sink,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=_TEXTS,
        row_group_size=max(1, len(table)),
    )
    content = sink.getvalue()
    digest = _digest(content)
    name = f"{info.batch_id}-{digest[:16]}.parquet"
    try:
        with writing(folder / name):
            folder.mkdir(exist_ok=True)
            with open(temporary, "wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.rename(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return KeptChange(file=name, bytes=len(content), blake2b=digest, tokens=_tokens_of(table))


def less(record: BatchRecord, rest: pa.Table, taken: str) -> KeptChange:
    """A kept batch that stays as it is, but for documents that one more list names; `rest` is what is left of it."""
    return KeptChange(
        file=record.file,
        bytes=record.bytes,
        blake2b=record.blake2b,
        tokens=_tokens_of(rest),
        taken=(*record.taken, taken),
    )


def read_kept(folder: Path, record: BatchRecord, vocab_size: int) -> pa.Table:
    """A kept batch as the batch it was, without the documents that were taken out of it since.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named.
    """
    path = folder / record.file
    content = _content(path, record)
    try:
        stored = stored_schema(vocab_size)
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts_of(SCHEMA))
        if not has_columns(file, stored) or file.num_row_groups != 1:
            raise DamagedMemoryError(
                f"{path} has the columns {file.schema_arrow.names} in {file.num_row_groups} groups of rows; expected "
                f"one of {SCHEMA.names} with their types, token ids as {stored.field('tokens').type.value_type}"
            )
        table = read_group(file, 0, stored, path=path, most_bytes=_MOST_BYTES)
        table = table.cast(SCHEMA.with_metadata(table.schema.metadata))
        table = _left(table, folder, record).combine_chunks()
        info, tokens = BatchInfo.of(table), _tokens_of(table)
    except DamagedMemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: also a batch's own errors
        raise DamagedMemoryError(f"{path} is no kept batch: {error}; restore it from a copy") from error
    if tokens != record.tokens or not record.file.startswith(f"{info.batch_id}-"):
        raise DamagedMemoryError(
            f"{path} is batch {info.batch_id} of {tokens:,} tokens; the manifest says {record.tokens:,}. Restore it"
        )
    return table


def read_places(folder: Path, record: BatchRecord) -> pa.Table:
    """Id, source and position of each segment of a kept batch, read alone and checked as far as that goes.

    Raises:
        DamagedMemoryError: the file is missing or truncated, or cannot be read; it is named.
    """
    path = folder / record.file
    require_bytes(path, record)
    try:
        return _left(pq.read_table(path, columns=_PLACES, partitioning=None), folder, record)
    except DamagedMemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedMemoryError(f"{path} is no kept batch: {error}; restore it from a copy") from error


class KeptBatches:
    """The token batches that a memory keeps.

    Args:
        directory: the memory. manifest: its manifest.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.folder, self.records = directory / BATCHES_FOLDER, manifest.batches
        self._vocab_size = manifest.config.vocab_size

    def __len__(self) -> int:
        return len(self.records)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(record.bytes for record in self.records)

    def read(self, record: BatchRecord) -> pa.Table:
        """One of them; see read_kept."""
        return read_kept(self.folder, record, self._vocab_size)

    def places(self) -> Iterable[pa.Table]:
        """Of each of them, in order: see read_places."""
        return (read_places(self.folder, record) for record in self.records)

    def verify(self) -> None:
        """Check every byte, and that what it says can be read."""
        for record in self.records:
            self.read(record)


def _left(table: pa.Table, folder: Path, record: BatchRecord) -> pa.Table:
    return table.filter(numbers_of(left_of(table, folder.parent, record.taken))) if record.taken else table


def _content(path: Path, record: BatchRecord) -> bytes:
    require_bytes(path, record)
    content = path.read_bytes()
    if _digest(content) != record.blake2b:
        raise DamagedMemoryError(f"{path} does not match the manifest's checksum; restore it from a copy")
    return content


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _tokens_of(table: pa.Table) -> int:
    return pc.sum(pc.list_value_length(table.column("tokens"))).as_py() or 0
