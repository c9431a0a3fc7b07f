"""IndexedFile: rows sorted by a 64-bit key in one Arrow IPC file, indexed by the top bits of their keys.

Covers: writing one, reading the parts of it that a range of keys lies in. Does not cover: what rows are (run_file.py,
run_folder.py), which files are open (open_files.py).

Record batch i of 2^s, a part, holds the keys whose top s bits are i, so a range of keys is found without an index
beside the file. A part's metadata has a checksum of its columns: LZ4's frames have none.
"""

import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from memo_dist.durable import sync_file
from memo_dist.errors import DamagedMemoryError
from memo_dist.runs.open_files import OpenFiles

_MOST_BITS = 16
_OPTIONS = ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def part_bounds(keys: np.ndarray, rows: int) -> list[int]:
    """Where each of 2^s parts of some `rows` rows, half of that at least on average, begins, and the last one ends.

    Args:
        keys: (n,) uint64, sorted.
    """
    bits = min(_MOST_BITS, max(0, (len(keys) // rows).bit_length()))
    edges = np.searchsorted(keys, np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits % 64))
    return [0, *edges.tolist(), len(keys)]


def write_parts(path: Path, rows: pa.RecordBatch, bounds: list[int]) -> None:
    """Write rows to a new file, durably.

    Args:
        bounds: of their parts; see part_bounds.

    Raises:
        OSError: it cannot be written.
    """
    with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, rows.schema, options=_OPTIONS) as writer:
        for start, stop in itertools.pairwise(bounds):
            part = rows.slice(start, stop - start)
            writer.write_batch(part, custom_metadata={"crc": _checksum(part)})
    sync_file(path)


def read_parts(path: Path, low: int, high: int, *, files: OpenFiles) -> Iterator[pa.RecordBatch]:
    """The parts of a file that keys in [low, high) lie in; they hold others, too.

    Raises:
        ValueError, LookupError, OSError, pa.ArrowException: the file is missing, is none, or a part was altered; see
            `naming_run`.
    """
    with files.reader(path) as file:
        bits = file.num_record_batches.bit_length() - 1
        if file.num_record_batches != 1 << max(0, bits):
            raise ValueError(f"{file.num_record_batches} parts")
        for index in range(low >> (64 - bits), (high - 1 >> (64 - bits)) + 1):
            part = file.get_batch_with_custom_metadata(index)
            part.batch.validate()
            if (part.custom_metadata or {}).get(b"crc", b"").decode() != _checksum(part.batch):
                raise ValueError("a checksum does not match")
            yield part.batch


@contextmanager
def naming_run(path: Path) -> Iterator[None]:
    """Whatever reading a bad file says becomes a DamagedMemoryError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, BufferError) as error:
        raise DamagedMemoryError(
            f"{path} is no whole run of a build ({error}); remove its folder and run it again"
        ) from error


def _checksum(part: pa.RecordBatch) -> str:
    return f"{zlib.crc32(part.serialize()):08x}"
