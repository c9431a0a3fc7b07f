"""Places: which document each row of a table is of, as numbers.

Covers: the place_key of every row. Does not cover: place_key itself (document_parts.py), which documents are taken
(pipelines/selection.py).
"""

import numpy as np
import pyarrow as pa

from memo_dist.document_parts import place_key
from memo_dist.segments import Origin

_ROWS = 1 << 13  # whose words are Python objects at a time


def places_of(table: pa.Table, id_column: str) -> np.ndarray:
    """(n,) uint64: the place_key of each row of a table with columns of ids, `source` and `position`."""
    found = [np.zeros(0, np.uint64)]
    for batch in table.select([id_column, "source", "position"]).to_batches(max_chunksize=_ROWS):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        keys = (place_key(name, Origin(source, position)) for name, source, position in rows)
        found.append(np.fromiter(keys, np.uint64, batch.num_rows))
    return np.concatenate(found)
