"""Publishing: a small memory for recall only, made of one that can change.

Covers: writing cells in a few bits, one bank at a time. Does not cover: the packed form (models/text/bit_planes.py),
reading a published memory (published_reader.py). The format is stated in docs/reference/format.md.

There is no ledger, so nothing can be added or forgotten; in return a bank takes 8 KiB at one bit and d = 256.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from memo_dist.digests import array_digest, hex_digest
from memo_dist.durable import Sink, file_digest, writing
from memo_dist.errors import ConfigError
from memo_dist.files.format import (
    TOKEN_COUNTS,
    published_attributes,
    published_layout,
    shard_file,
    write_attributes,
)
from memo_dist.files.journal import PublishEntry, now
from memo_dist.files.manifest import Manifest, ShardRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_reader import ShardReader
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.models import model_of
from memo_dist.models.text.bit_planes import EXACT, PUBLISHED_BITS, quantize

OnBank = Callable[[int, int], None]
Written = tuple[ShardRecord, np.ndarray]


def publish(
    memory: Path,
    out: Path,
    bits: int,
    *,
    named: Path | None = None,
    on_bank: OnBank = lambda done, banks: None,
    each: Callable[[Callable[[int], Written], int], list[Written]] | None = None,
) -> Manifest:
    """Write a recall-only memory, one bank at a time; `memory` is not changed.

    Args:
        bits: of a cell, one of PUBLISHED_BITS; 16 keeps the cells as they are.
        named: what the journal calls the memory; None: `memory`.
        on_bank: called with the number of banks done and of all.
        each: gives what a function, which can be pickled, makes of so many files; None: one file after the other.

    Raises:
        ConfigError: `bits` is not one of these, the memory's model cannot be published, or it is published already.
        DamagedMemoryError: the memory is not whole. OutputExistsError, StorageError: `out` cannot be written.
    """
    if bits not in PUBLISHED_BITS:
        raise ConfigError(f"--bits is {bits}; expected one of {', '.join(map(str, PUBLISHED_BITS))}")
    with open_memory(memory) as opened:
        working, base, config = opened.require_working(), opened.manifest, opened.config
        with staged_output(out) as staging:
            if not model_of(config).publishes:
                raise ConfigError(
                    f"{memory} is of the preset {config.preset!r}; only memories of the preset text publish"
                )
            if each is None:
                written = [
                    _write(staging / shard_file(index), file, base.tokenizer_hash, bits=bits, on_bank=on_bank)
                    for index, file in enumerate(working.files)
                ]
            else:
                one = partial(publish_file, str(memory.absolute()), str(staging.absolute()), bits=bits)
                written = each(one, len(working.files))
            entry = PublishEntry(when=now(), memory=str(named or memory), bits=bits, digest=base.digest)
            return write_contents(
                staging,
                config,
                opened.tokenizer,
                shards=written,
                tokens=base.tokens,
                documents=base.documents,
                sources=[*base.sources, entry],
                bits=bits,
            )


def publish_file(memory: str, folder: str, index: int, *, bits: int) -> Written:
    """Write one file of a recall-only memory; its record and the digests of its banks."""
    manifest = Manifest.read(Path(memory))
    record, tokenizer_hash = manifest.shards[index], manifest.tokenizer_hash
    file = ShardReader(Path(memory) / record.file, record, manifest.config, tokenizer_hash=tokenizer_hash)
    try:
        path = Path(folder) / shard_file(index)
        return _write(path, file, tokenizer_hash, bits=bits, on_bank=lambda done, banks: None)
    finally:
        file.close()


def _write(path: Path, file: ShardReader, tokenizer_hash: str, *, bits: int, on_bank: OnBank) -> Written:
    config, banks, token_counts = file.config, file.banks, file.token_counts()
    assert token_counts is not None, "a memory without a ledger does not publish"
    with writing(path), Sink(path, "w+") as sink:
        with h5py.File(sink, "w", libver="latest") as opened:
            write_attributes(opened, published_attributes(config, tokenizer_hash, banks, bits=bits))
            digests = _write_banks(opened, file, bits=bits, on_bank=on_bank)
            opened[TOKEN_COUNTS] = token_counts
        if sink.error is not None:
            raise sink.error
        os.fsync(sink.fileno())
    record = ShardRecord(
        file=path.name,
        first_bank=banks.start,
        stop_bank=banks.stop,
        bytes=path.stat().st_size,
        blake2b=file_digest(path),
        digests=hex_digest(digests),
        records="",
        associations=file.associations,
        token_counts=hex_digest(token_counts),
    )
    return record, digests


def _write_banks(target: h5py.File, file: ShardReader, *, bits: int, on_bank: OnBank) -> np.ndarray:
    """The datasets; returns the bank digests, (banks, 16) uint8."""
    config, banks = file.config, file.banks
    scales, digests = np.ones(len(banks)), np.empty((len(banks), 16), np.uint8)
    shape, kind = published_layout(config, bits)
    packed = target.create_dataset("cells", (len(banks), *shape), kind)
    for row, bank in enumerate(banks):
        cells = file.cells(bank)
        if bits != EXACT:
            cells, scales[row] = quantize(cells, bits)
        packed[row] = cells
        digests[row] = array_digest(cells, scales[row : row + 1])
        on_bank(bank + 1, config.num_banks)
    target["scales"], target["bank_digests"] = scales, digests
    return digests
