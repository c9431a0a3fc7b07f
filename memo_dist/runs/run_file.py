"""RunFile: sorted, counted associations in one Arrow IPC file, indexed by the top bits of their names.

Covers: writing one, reading a range of names of it. Does not cover: what of a batch is in which file (run_folder.py),
merging (merging.py).

Record batch i of 2^s holds the names whose top s bits are i, so a range of names is found without an index beside the
file. Columns: `step`, by how much the upper half of a name exceeds that of the row before (of a batch's first row, that
half itself); `low`, its lower half; `token`; `count`. LZ4 takes what is left of them to some 9 bytes a row: zstd would
take it to 8, and twice the time. A record batch's metadata has a checksum of its columns: LZ4's frames have none.
"""

import itertools
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from memo_dist.arrow_arrays import numbers_of
from memo_dist.durable import sync_file
from memo_dist.errors import DamagedMemoryError
from memo_dist.models.text.ledger import Entries

_ROWS = 1 << 12  # of a record batch, about: 40 KB
_MOST_BITS = 16
_HALF = np.uint64(32)
_COLUMNS = ("step", "low", "token", "count")
_OPTIONS = ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def write_run_file(path: Path, entries: Entries) -> None:
    """Write associations, sorted by name and distinct, to a new file, durably.

    Raises:
        OSError: it cannot be written.
    """
    bits = min(_MOST_BITS, max(0, (len(entries) // _ROWS).bit_length()))
    edges = np.searchsorted(entries.names, np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits % 64))
    bounds = [0, *edges.tolist(), len(entries)]
    upper = (entries.names >> _HALF).astype(np.uint32)
    steps = np.diff(upper, prepend=np.uint32(0))
    firsts = np.array(bounds[:-1])[np.diff(bounds) > 0]
    steps[firsts] = upper[firsts]
    small = not len(entries) or int(entries.tokens.max()) < 1 << 16
    columns = [
        steps,
        entries.names.astype(np.uint32),
        entries.tokens.astype(np.uint16 if small else np.uint32),
        entries.counts.astype(np.uint32),
    ]
    whole = pa.record_batch(list(map(numbers_of, columns)), names=list(_COLUMNS))
    with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, whole.schema, options=_OPTIONS) as writer:
        for start, stop in itertools.pairwise(bounds):
            said = {"crc": _checksum([column[start:stop] for column in columns])}
            writer.write_batch(whole.slice(start, stop - start), custom_metadata=said)
    sync_file(path)


def read_run_file(path: Path, low: int, high: int) -> Entries:
    """The associations of a file whose names lie in [low, high), sorted; counts are int64.

    Raises:
        DamagedMemoryError: the file is missing, is none, or what is read of it was altered.
    """
    try:
        with pa.OSFile(str(path)) as source, ipc.open_file(source) as file:
            bits = file.num_record_batches.bit_length() - 1
            if file.num_record_batches != 1 << max(0, bits):
                raise ValueError(f"{file.num_record_batches} parts")
            first, last = low >> (64 - bits), high - 1 >> (64 - bits)
            found = [_entries(file.get_batch_with_custom_metadata(index)) for index in range(first, last + 1)]
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, BufferError) as error:
        raise DamagedMemoryError(
            f"{path} is no whole run of a build ({error}); remove its folder and run it again"
        ) from error
    joined = Entries(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    start = int(np.searchsorted(joined.names, np.uint64(low)))
    stop = len(joined) if high >= 1 << 64 else int(np.searchsorted(joined.names, np.uint64(high)))
    return joined.slice(start, stop)


def _entries(part: pa.lib.RecordBatchWithMetadata) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part.batch.validate()
    step, low, token, count = columns = [np.from_dlpack(part.batch.column(name)) for name in _COLUMNS]
    if (part.custom_metadata or {}).get(b"crc", b"").decode() != _checksum(columns):
        raise ValueError("a checksum does not match")
    names = (np.cumsum(step, dtype=np.uint64) << _HALF) | low.astype(np.uint64)
    return names, token.astype(np.uint32), count.astype(np.int64)


def _checksum(columns: list[np.ndarray]) -> str:
    value = 0
    for column in columns:
        value = zlib.crc32(np.ascontiguousarray(column).data, value)
    return f"{value:08x}"
