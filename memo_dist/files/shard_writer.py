"""Storage: writing a shard to one HDF5 file for its range of banks, once, never to be changed.

Covers: writing `shard-*.h5`, and what the manifest says of it. Does not cover: reading one (shard_file.py), the
directory and its manifest (manifest.py). The format is stated in docs/format.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.device.backend import to_host
from memo_dist.digests import hex_digest
from memo_dist.files.durable import Sink, file_digest, sync_directory, writing
from memo_dist.models import model_of
from memo_dist.shard import Shard

FORMAT_TYPE = b"memo-dist shard"
FORMAT_VERSION = 2
_BLOCK = 1 << 22
_WRITE = 1 << 23  # bytes of cells handed to HDF5 at a time


@dataclass(frozen=True)
class ShardRecord:
    """What the manifest says of a shard file.

    Attributes:
        file: its name. bytes, blake2b: of the whole file.
        digests: BLAKE2b of its `bank_digests`; with it, and one bank's own digest, a bank is known to be this memory's.
        records: BLAKE2b of its `documents` and `applied`.
        associations: held by its banks.
    """

    file: str
    first_bank: int
    stop_bank: int
    bytes: int
    blake2b: str
    digests: str
    records: str
    associations: int


def write_shard(shard: Shard, path: Path) -> tuple[ShardRecord, np.ndarray]:
    """Write a shard to a new file: temporary name, fsync, rename. Returns its record and its bank digests.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    digests, records = shard.bank_digests(), (shard.registry.to_array(), _batch_ids(shard))
    temporary = path.with_name(path.name + ".tmp")
    try:
        with writing(path):
            with Sink(temporary, "w+") as sink:
                with h5py.File(sink, "w", libver="latest") as file:
                    _write(file, shard, digests, *records)
                if sink.error is not None:
                    raise sink.error
                os.fsync(sink.fileno())
            size, checksum = temporary.stat().st_size, file_digest(temporary)
            temporary.rename(path)
            sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    banks = shard.banks
    record = ShardRecord(
        file=path.name,
        first_bank=banks.start,
        stop_bank=banks.stop,
        bytes=size,
        blake2b=checksum,
        digests=hex_digest(digests),
        records=hex_digest(*records),
        associations=shard.num_associations,
    )
    return record, digests


def root_attributes(config: MemoryConfig, tokenizer_hash: str, banks: range) -> dict[str, bytes | int]:
    """What a shard file says of itself. Texts have a fixed length: HDF5 can hang on a damaged variable one."""
    attributes: dict[str, bytes | int] = {
        "type": FORMAT_TYPE,
        "version": FORMAT_VERSION,
        "config": config.fingerprint.encode(),
        "tokenizer": (tokenizer_hash or "none").encode(),
        "first_bank": banks.start,
        "stop_bank": banks.stop,
    }
    return {**attributes, **model_of(config).file_attributes(config)}


def _write(file: h5py.File, shard: Shard, digests: np.ndarray, documents: np.ndarray, batch_ids: np.ndarray) -> None:
    config, contents = shard.config, shard.contents
    for name, value in root_attributes(config, shard.tokenizer_hash, shard.banks).items():
        file.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value
    shape = (len(shard.banks), *config.bank_shape)
    cells = file.create_dataset("cells", shape, config.cell_type, chunks=(1, *config.bank_shape), fletcher32=True)
    step = max(1, _WRITE // config.bank_bytes)
    for start in range(0, len(shard.banks), step):
        cells[start : start + step] = to_host(contents.read_banks(start, min(start + step, len(shard.banks))))
    file.create_dataset("bank_digests", data=digests)
    group = file.create_group("ledger")
    kinds = {"names": "<u8", "tokens": "<u4", "counts": "<u4"}
    columns = {name: _column(group, name, (contents.num_entries,), kind) for name, kind in kinds.items()}
    at = 0
    for part in contents.entries():
        if len(part):
            for name, column in columns.items():
                column[at : at + len(part)] = to_host(getattr(part, name))
            at += len(part)
    for name, values in (("documents", documents), ("applied", batch_ids)):
        column = _column(file, name, values.shape, values.dtype.str)
        if len(values):
            column[:] = values


def _batch_ids(shard: Shard) -> np.ndarray:
    """(n, 16) uint8, sorted."""
    return np.array([list(bytes.fromhex(b)) for b in sorted(shard.applied)], np.uint8).reshape(-1, 16)


def _column(group: h5py.Group, name: str, shape: tuple[int, ...], kind: str) -> h5py.Dataset:
    if not shape[0]:
        return group.create_dataset(name, shape, kind)
    width = np.dtype(kind).itemsize * int(np.prod(shape[1:]))
    rows = min(shape[0], max(1, _BLOCK // width))
    return group.create_dataset(name, shape, kind, chunks=(rows, *shape[1:]), fletcher32=True)
