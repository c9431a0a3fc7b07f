"""Format: what the files of a memory directory are called, and what a shard file says of itself.

Covers: types, versions, names, root attributes. Does not cover: datasets (shard_writer.py, published_writer.py), the
manifest's fields (manifest.py). The format is stated in docs/reference/format.md.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.errors import DamagedMemoryError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.text.bit_planes import EXACT

SHARD_TYPE = b"memo-dist shard"
SEGMENT_TYPE = b"memo-dist segment"
PUBLISHED_TYPE = b"memo-dist published shard"
SOLVED_TYPE = b"memo-dist solved tables"
FORMAT_VERSION = 3
NEXT = "ledger/next"  # the group of a shard's ledger: windows with the tokens that follow them
DOCUMENT = "ledger/document"  # and of its anchors: windows with the documents that they stand in
TOKEN_COUNTS = "token_counts"
BATCHES_FOLDER = "batches"
BATCH_FILE = re.compile(r"[0-9a-f]{2,64}-[0-9a-f]{16}\.parquet")  # id of the batch, digest of the content
SEGMENT_FILE = re.compile(
    r"shard-[0-9]{5,}\.g[0-9]{4,}-[0-9a-f]{8}\.h5"
)  # written by a change: its attempt in the name
TAKEN_FILE = re.compile(r"shard-taken-[0-9a-f]{32}\.places")  # digest of the content
SOLVED_FILE = re.compile(r"solved-[0-9]{5}\.h5|documents\.parquet")
SOLVED_DOCUMENTS = "documents.parquet"
LARGEST_DOCUMENT = 2**32 - 1  # anchors have the low halves of documents' keys

Attributes = dict[str, bytes | int]


def shard_file(index: int) -> str:
    """The name of a new memory's shard file."""
    return f"shard-{index:05d}.h5"


def documents_file(shard: str) -> str:
    """The name of the documents' file that goes with a shard's file."""
    return shard.removesuffix(".h5") + ".documents.parquet"


def shard_attributes(config: MemoryConfig, tokenizer_hash: str, banks: range) -> Attributes:
    """Of a shard that can change. Texts have a fixed length: HDF5 can hang on a damaged variable one."""
    attributes: Attributes = {
        "type": SHARD_TYPE,
        "version": FORMAT_VERSION,
        "config": config.fingerprint.encode(),
        "tokenizer": (tokenizer_hash or "none").encode(),
        "first_bank": banks.start,
        "stop_bank": banks.stop,
    }
    return {**attributes, **model_of(config).file_attributes(config)}


def segment_attributes(config: MemoryConfig, tokenizer_hash: str, banks: range) -> Attributes:
    """Of a file of a segment: those of a shard, but for the type."""
    return {**shard_attributes(config, tokenizer_hash, banks), "type": SEGMENT_TYPE}


def digests_of_a_bank(config: MemoryConfig) -> int:
    """How many digests a bank has: of its cells, of its ledger entries and, where there is a ledger, of its anchors."""
    return 3 if model_of(config).has_ledger else 2


def published_attributes(config: MemoryConfig, tokenizer_hash: str, banks: range, *, bits: int) -> Attributes:
    """Of a published shard: the same, and the bits of a cell."""
    return {**shard_attributes(config, tokenizer_hash, banks), "type": PUBLISHED_TYPE, "bits": bits}


def solved_file(index: int) -> str:
    """The name of a solved memory's file."""
    return f"solved-{index:05d}.h5"


def solved_group(index: int, rungs: int) -> str:
    """The group of a rung's tables, or, after all rungs, of the anchors'."""
    return f"rung-{index:02d}" if index < rungs else "anchors"


def solved_attributes(
    config: MemoryConfig, tokenizer_hash: str, *, index: int, files: int, check_bits: int
) -> Attributes:
    """Of one of so many files of a solved memory."""
    return {
        "type": SOLVED_TYPE,
        "version": FORMAT_VERSION,
        "config": config.fingerprint.encode(),
        "tokenizer": (tokenizer_hash or "none").encode(),
        "file": index,
        "files": files,
        "check_bits": check_bits,
    }


def write_attributes(file: Any, attributes: Attributes) -> None:
    """Put them into an h5py.File."""
    for name, value in attributes.items():
        file.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value


def require_attributes(file: Any, path: Path, attributes: Attributes) -> None:
    """Compare an h5py.File's with what the manifest implies.

    Raises:
        DamagedMemoryError: one differs; the file is named. KeyError: one is missing.
    """
    for name, value in attributes.items():
        found = file.attrs[name]
        if found != value:
            raise DamagedMemoryError(f"{path} has {name} {found!r}; the manifest says {value!r}")


def published_layout(config: MemoryConfig, bits: int) -> tuple[tuple[int, ...], str]:
    """Shape and type of a published bank."""
    dim = config.inner_dim
    return ((dim, dim), "<i2") if bits == EXACT else ((bits, dim, dim // 64), "<u8")
