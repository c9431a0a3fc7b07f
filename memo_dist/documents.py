"""DocumentRegistry: which documents were memorized, whatever the order of their parts and wherever they were cut.

Covers: the records of many ids, as a table and by id; counting documents and tokens. Does not cover: one id's parts
(document_parts.py), files (files/documents_file.py), the documents' text.

Records are kept in an Arrow table, sorted by the lower and then the upper half of the key; what comes in is collected
and folded into it now and then.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import array_of, numbers_of
from memo_dist.document_parts import DocumentPart, folded

SCHEMA = pa.schema(
    [
        pa.field("low", pa.uint32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("id", pa.large_string(), nullable=False),
        pa.field("source", pa.large_string(), nullable=False),
        pa.field("position", pa.uint64(), nullable=False),
        pa.field("position_in", pa.large_string(), nullable=False),
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("tokens", pa.uint64(), nullable=False),
        pa.field("fingerprint", pa.uint64(), nullable=False),
        pa.field("ends", pa.bool_(), nullable=False),
        pa.field("times", pa.int32(), nullable=False),
    ]
)
LISTED = ("id", "tokens", "source", "position", "position_in")
LOW = 2**32 - 1
_FEW = 1 << 12  # parts that are collected at least before they are folded in


class DocumentRegistry:
    """Records by document key. Addition and subtraction are exact inverses."""

    def __init__(self) -> None:
        self._table = pa.Table.from_batches([], schema=SCHEMA)  # empty_table would load pandas
        self._sorted = np.zeros(0, np.uint64)  # the table's keys, turned
        self._pending: dict[int, list[DocumentPart]] = defaultdict(list)
        self._waiting = 0

    def __len__(self) -> int:
        """The number of documents held, or of those that began."""
        table = self.table()
        return int((numbers(table, "times") * (numbers(table, "start") == 0)).sum())

    @property
    def num_tokens(self) -> int:
        table = self.table()
        return int((numbers(table, "times") * numbers(table, "tokens").astype(np.int64)).sum())

    def add(self, key: int, part: DocumentPart) -> None:
        """Add to what is recorded under a key; what becomes nothing is dropped."""
        self._pending[key].append(part)
        self._waiting += 1
        if self._waiting >= max(_FEW, len(self._table) // 4):
            self._settle()

    def subtract(self, key: int, part: DocumentPart) -> None:
        """The exact inverse of `add`."""
        self.add(key, part._replace(times=-part.times))

    def parts(self, key: int) -> list[DocumentPart]:
        """What is recorded under a key: a record for each whole document, and parts of others."""
        turned = _turned(np.array([key], np.uint64))[0]
        first, last = (int(np.searchsorted(self._sorted, turned, side)) for side in ("left", "right"))
        held = [part for _, part in rows_of(self._table.slice(first, last - first))]
        return folded([*held, *self._pending[key]], key) if key in self._pending else held

    def holds(self, key: int, part: DocumentPart) -> bool:
        """Whether a whole document with this key and this part's text is held."""
        asked = part.identity(key)
        return part.whole and any(p.whole and p.times > 0 and p.identity(key) == asked for p in self.parts(key))

    def table(self) -> pa.Table:
        """All records, of SCHEMA, sorted by `low`, then `key`, then as parts are."""
        if self._waiting:
            self._settle()
        return self._table

    def named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the lower 32 bits of their keys; those that no document has are left out."""
        table, found = self.table(), dict[int, list[str]]()
        halves = numbers(table, "low")
        for half in sorted(set(low)):
            first, last = np.searchsorted(halves, np.uint32(half)), np.searchsorted(halves, np.uint32(half), "right")
            names = table.column("id").slice(int(first), int(last - first)).to_pylist()
            if names:
                found[half] = sorted(set(names))
        return found

    def add_table(self, table: pa.Table) -> None:
        """Add records of SCHEMA, in any order."""
        self._replace(folded_table(pa.concat_tables([self.table(), table])))

    def _settle(self) -> None:
        more = table_of((key, part) for key, parts in self._pending.items() for part in parts)
        self._pending, self._waiting = defaultdict(list), 0
        self._replace(folded_table(pa.concat_tables([self._table, more])))

    def _replace(self, table: pa.Table) -> None:
        self._table, self._sorted = table, _turned(numbers(table, "key"))


def table_of(records: Iterable[tuple[int, DocumentPart]]) -> pa.Table:
    """(key, part) pairs as a table of SCHEMA."""
    rows = [(key & LOW, key, *part) for key, part in records]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [array_of(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def rows_of(table: pa.Table) -> Iterator[tuple[int, DocumentPart]]:
    """The (key, part) pairs of a table of SCHEMA."""
    for batch in table.to_batches():
        columns = [batch.column(name).to_pylist() for name in SCHEMA.names[1:]]
        for key, *values in zip(*columns, strict=True):
            yield key, DocumentPart(*values)


def folded_table(table: pa.Table) -> pa.Table:
    """A table of SCHEMA in any order, folded and sorted. A row alone of its key stays as it is."""
    turned = _turned(numbers(table, "key"))
    order = np.argsort(turned, kind="stable")
    line = turned[order]
    new = np.concatenate([[True], line[1:] != line[:-1]])[: len(line)]
    alone = new & np.concatenate([new[1:], [True]])[: len(line)]
    together = defaultdict(list)
    for key, part in rows_of(table.take(numbers_of(order[~alone]))):
        together[key].append(part)
    left = table_of((key, part) for key, parts in together.items() for part in folded(parts, key))
    both = pa.concat_tables([table.take(numbers_of(order[alone])), left])
    return both.take(numbers_of(np.argsort(_turned(numbers(both, "key")), kind="stable"))).combine_chunks()


def listing(tables: Iterable[pa.Table], first: int | None = None) -> pa.Table:
    """What is told of documents, by source, position and id; of the `first` ones in that order, or of all.

    A few are found among many with a few in memory.
    """
    waiting = [pa.Table.from_batches([], schema=SCHEMA).select(LISTED)]
    for table in tables:
        waiting.append(table.select(LISTED))
        if first is not None:
            waiting = [_in_order(pa.concat_tables(waiting)).slice(0, first)]
    return _in_order(pa.concat_tables(waiting))


def _in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([("source", "ascending"), ("position", "ascending"), ("id", "ascending")])


def numbers(table: pa.Table | pa.RecordBatch, name: str) -> np.ndarray:
    """A column of numbers, or of truths."""
    column = table.column(name)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    kind = SCHEMA.field(name).type.to_pandas_dtype()
    if kind == np.bool_:  # bits, which are nothing to NumPy; to_numpy() would load pandas
        chunks = [chunk.cast(pa.uint8()) for chunk in chunks]
    return np.concatenate([np.zeros(0, kind), *[np.from_dlpack(chunk).astype(kind, copy=False) for chunk in chunks]])


def _turned(keys: np.ndarray) -> np.ndarray:
    """(n,) uint64 keys with the halves exchanged: what records are sorted by."""
    return np.asarray(keys << np.uint64(32) | keys >> np.uint64(32))
