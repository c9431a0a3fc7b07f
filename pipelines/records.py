"""Records: what the splits of a corpus hold of which documents, as numbers.

Covers: a record for each whole document, one pass over a split for them, those of a table. Does not cover: which of
them are wanted (cluster/change_selection.py), records as memories keep them (memo_dist/documents.py).

A driver compares the documents of a corpus with those of a memory: 32 bytes each, where a record with its words takes
four times that in a table, and a Python object of it thirteen times.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from dask.delayed import delayed

from memo_dist.batches import read_batch
from memo_dist.document_identities import IDENTITIES, identities_of
from memo_dist.document_parts import DocumentPart, document_key, parts_of, place_key
from memo_dist.document_places import places_of
from memo_dist.documents import DocumentRegistry, numbers, table_of
from memo_dist.errors import InputError
from memo_dist.memory_config import MemoryConfig
from memo_dist.tokenizer import Tokenizer
from pipelines.batching import batch_parts
from pipelines.plan import CorpusOptions
from pipelines.release_memory import return_freed_memory
from pipelines.splits import Split

RECORDS = np.dtype([*IDENTITIES.descr, ("place", "<u8")])
"""The identity of a whole document, and its place_key."""


@dataclass(frozen=True)
class SplitRecords:
    """What one split holds: `whole` (n,) of RECORDS, and parts of other documents, a table of documents.SCHEMA."""

    whole: np.ndarray
    parts: pa.Table


def split_records(
    split: Split, options: CorpusOptions, *, tokenizer: Tokenizer | None, config: MemoryConfig
) -> SplitRecords:
    """Read and tokenize one split, for what it holds of which documents.

    Raises:
        InputError: something in the split cannot be read; it is named.
    """
    whole, parts = [np.zeros(0, RECORDS)], [table_of([])]
    for some in batch_parts(split, options.reading(), tokenizer=tokenizer, context_length=config.context_length):
        documents = list(read_batch(some, config))
        keys = [document_key(name) for name, _ in documents]
        found = list(zip(keys, parts_of(documents, keys), strict=True))
        whole.append(np.array([_record(key, part) for key, part in found if part.whole], RECORDS))
        parts.append(table_of((key, part) for key, part in found if not part.whole))
    return_freed_memory()
    return SplitRecords(np.concatenate(whole), pa.concat_tables(parts))


def _record(key: int, part: DocumentPart) -> tuple[int, ...]:
    return (*part.identity(key), place_key(part.id, part.origin))


def delayed_records(
    splits: Iterable[Split], options: CorpusOptions, *, tokenizer: object, config: MemoryConfig
) -> Iterator[object]:
    """One Dask graph for the `split_records` of each split, not yet run, in input order.

    Args:
        tokenizer: a Tokenizer or None, or what the scheduler turns into it for its tasks (a Ray ObjectRef).
    """
    for split in splits:
        # partial: Dask would look through the split's dataclasses for graphs
        yield delayed(partial(_task, split=split, options=options, config=config), pure=False)(tokenizer)


def _task(tokenizer: Tokenizer | None, *, split: Split, options: CorpusOptions, config: MemoryConfig) -> SplitRecords:
    return split_records(split, options, tokenizer=tokenizer, config=config)


def gathered(found: Iterable[SplitRecords]) -> np.ndarray:
    """(n,) of RECORDS: all documents of all splits, those that were cut among splits put together.

    Raises:
        InputError: a document is not whole: its file changed meanwhile.
    """
    whole, parts = [np.zeros(0, RECORDS)], [table_of([])]
    for one in found:
        whole.append(one.whole)
        parts.append(one.parts)
    registry = DocumentRegistry()
    registry.add_table(pa.concat_tables(parts))
    try:
        identities_of([registry.table()])
    except InputError as error:
        raise InputError(f"a file changed while it was read: {error}; run the command again") from error
    joined = records_in(registry.table())
    return np.concatenate([*whole, np.repeat(joined, numbers(registry.table(), "times"))])


def records_in(table: pa.Table) -> np.ndarray:
    """(n,) of RECORDS: those of the rows of a table of documents.SCHEMA, all of them whole documents, in order."""
    rows = np.empty(table.num_rows, RECORDS)
    for name in IDENTITIES.names or ():
        rows[name] = numbers(table, name)
    rows["place"] = places_of(table, "id")
    return rows


def identities_in(records: np.ndarray) -> np.ndarray:
    """(n,) of IDENTITIES: those of records, in order."""
    rows = np.empty(len(records), IDENTITIES)
    for name in IDENTITIES.names or ():
        rows[name] = records[name]
    return rows
