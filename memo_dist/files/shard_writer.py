"""Writing a shard to one HDF5 file for its range of banks, once, never to be changed.

Covers: writing `shard-*.h5`, and what the manifest says of it. Does not cover: reading one (shard_reader.py), the
directory and its manifest (staging.py, manifest.py). The format is stated in docs/reference/format.md.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from memo_dist.device.backend import to_host
from memo_dist.digests import hex_digest
from memo_dist.durable import Sink, file_digest, sync_directory, writing
from memo_dist.files.format import shard_attributes, write_attributes
from memo_dist.files.manifest import ShardRecord
from memo_dist.shard import Shard

_BLOCK = 1 << 22
_WRITE = 1 << 23  # bytes of cells handed to HDF5 at a time


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
                    _write(file, shard, digests, records=records)
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


def _write(file: h5py.File, shard: Shard, digests: np.ndarray, *, records: tuple[np.ndarray, np.ndarray]) -> None:
    config, contents, ledger = shard.config, shard.contents, shard.contents.with_ledger
    count = 0 if ledger is None else ledger.num_associations
    write_attributes(file, shard_attributes(config, shard.tokenizer_hash, shard.banks))
    shape = (len(shard.banks), *config.bank_shape)
    cells = file.create_dataset("cells", shape, config.cell_type, chunks=(1, *config.bank_shape), fletcher32=True)
    step = max(1, _WRITE // config.bank_bytes)
    for start in range(0, len(shard.banks), step):
        cells[start : start + step] = to_host(contents.read_banks(start, min(start + step, len(shard.banks))))
    file.create_dataset("bank_digests", data=digests)
    group = file.create_group("ledger")
    kinds = {"names": "<u8", "tokens": "<u4", "counts": "<u4"}
    columns = {name: _column(group, name, (count,), kind=kind) for name, kind in kinds.items()}
    at = 0
    for part in () if ledger is None else ledger.entries():
        if len(part):
            for name, column in columns.items():
                column[at : at + len(part)] = to_host(getattr(part, name))
            at += len(part)
    for name, values in zip(("documents", "applied"), records, strict=True):
        column = _column(file, name, values.shape, kind=values.dtype.str)
        if len(values):
            column[:] = values


def _batch_ids(shard: Shard) -> np.ndarray:
    """(n, 16) uint8, sorted."""
    return np.array([list(bytes.fromhex(b)) for b in sorted(shard.applied)], np.uint8).reshape(-1, 16)


def _column(group: h5py.Group, name: str, shape: tuple[int, ...], *, kind: str) -> h5py.Dataset:
    if not shape[0]:
        return group.create_dataset(name, shape, kind)
    width = np.dtype(kind).itemsize * int(np.prod(shape[1:]))
    rows = min(shape[0], max(1, _BLOCK // width))
    return group.create_dataset(name, shape, kind, chunks=(rows, *shape[1:]), fletcher32=True)
