"""RunFile: sorted, counted associations in one indexed file.

Covers: writing one, reading a range of names of it. Does not cover: parts and their index (indexed_file.py), what of a
batch is in which file (run_folder.py), merging (merging.py).

Columns: `step`, by how much the upper half of a name exceeds that of the row before (of a part's first row, that half
itself); `low`, its lower half; `token`; `count`. LZ4 takes what is left of them to some 9 bytes a row: zstd would take
it to 8, and twice the time.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import numbers_of
from memo_dist.models.text.ledger import Entries
from memo_dist.runs.indexed_file import naming_run, part_bounds, read_parts, write_parts
from memo_dist.runs.open_files import OpenFiles

_ROWS = 1 << 12  # of a part, about: 40 KB
_HALF = np.uint64(32)
_COLUMNS = ("step", "low", "token", "count")


def write_run_file(path: Path, entries: Entries) -> None:
    """Write associations, sorted by name and distinct, to a new file, durably.

    Raises:
        OSError: it cannot be written.
    """
    bounds = part_bounds(entries.names, _ROWS)
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
    write_parts(path, pa.record_batch(list(map(numbers_of, columns)), names=list(_COLUMNS)), bounds)


def read_run_file(path: Path, low: int, high: int, *, files: OpenFiles) -> Entries:
    """The associations of a file whose names lie in [low, high), sorted; counts are int64.

    Raises:
        DamagedMemoryError: the file is missing, is none, or what is read of it was altered.
    """
    with naming_run(path):
        found = [_entries(part) for part in read_parts(path, low, high, files=files)]
    joined = Entries(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    start = int(np.searchsorted(joined.names, np.uint64(low)))
    stop = len(joined) if high >= 1 << 64 else int(np.searchsorted(joined.names, np.uint64(high)))
    return joined.slice(start, stop)


def _entries(part: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    step, low, token, count = (np.from_dlpack(part.column(name)) for name in _COLUMNS)
    names = (np.cumsum(step, dtype=np.uint64) << _HALF) | low.astype(np.uint64)
    return names, token.astype(np.uint32), count.astype(np.int64)
