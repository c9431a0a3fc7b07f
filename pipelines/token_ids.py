"""Token ids: corpora that are tokenized already, one document a row of a parquet file.

Covers: planning such a corpus, reading its rows into segments. Does not cover: text (reading.py, tokenizing.py).

A file has a column of lists of whole numbers, `tokens` or `input_ids`, and perhaps one of ids. There is no tokenizer:
the memory is one of bare token ids.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.errors import InputError
from memo_dist.segments import NO_TOKENS, Segment
from pipelines.plan import CorpusOptions, CorpusPlan, Unit, cut_into_units
from pipelines.reading import Span, row_id
from pipelines.sources import TOKEN_IDS, Source, list_sources

COLUMNS = ("tokens", "input_ids")
_TOKEN_BYTES = 4
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class TokenIds:
    """What a scan found: `documents` without empty ones; `vocab_size`, the highest id and one."""

    tokens: int
    documents: int
    vocab_size: int


def plan_token_ids(paths: list[str], options: CorpusOptions) -> tuple[CorpusPlan, TokenIds]:
    """Find, scan and cut a corpus of token ids.

    Raises:
        InputError: a file is missing, no parquet, has no column of token ids, or an id is out of range.
    """
    sources, tokens, documents, highest, left = [], 0, 0, -1, options.limit
    for source in list_sources(paths, options.include, options.exclude):
        if left == 0:
            break
        if source.format != "parquet":
            raise InputError(f"{source.name} is no .parquet file; --token-ids takes parquet with a list of ids a row")
        rows = count = 0
        for lists in _lists(source, 0, left):
            highest = max(highest, _highest_id(source, lists, rows))
            lengths = pc.list_value_length(lists)
            count += pc.sum(lengths).as_py() or 0
            documents += pc.sum(pc.greater(lengths, 0)).as_py() or 0
            rows += len(lists)
        sources.append(replace(source, format=TOKEN_IDS, size=_TOKEN_BYTES * count, rows=rows))
        tokens += count
        left = None if left is None else left - rows
    if not tokens:
        raise InputError(f"{', '.join(paths)} hold no token ids at all")
    spans = [Span(source, 0, source.rows) for source in sources if source.rows]
    return cut_into_units(spans, options), TokenIds(tokens, documents, highest + 1)


def token_id_batch(unit: Unit, options: CorpusOptions, takes: Callable[[str], bool]) -> pa.Table:
    """Read one unit into a batch: every row is a whole document.

    Raises:
        InputError: a file changed since it was planned.
    """
    content, empty = hashlib.blake2b(digest_size=16), 0
    segments: list[tuple[str, Segment]] = []
    for span in unit.spans:
        place = span.start
        for lists in _lists(span.source, span.start, span.stop - span.start, options.id_key):
            _highest_id(span.source, lists.field("tokens"), place)
            for name, row in zip(lists.field("id").to_pylist(), lists.field("tokens"), strict=True):
                ids = row.values.to_numpy(zero_copy_only=False).astype(np.int64) if row.is_valid else NO_TOKENS
                document = row_id(name, f"{span.source.name}#{place}")
                if len(ids) and takes(document):
                    content.update(ids.tobytes())
                    segments.append((document, _whole(ids)))
                empty += not len(ids)
                place += 1
        if place < span.stop:
            raise InputError(
                f"{span.source.name} had {span.source.rows} rows and now has {place}; keep the corpus unchanged during "
                "a build"
            )
    info = BatchInfo(unit.batch_id, unit.describe(), content.hexdigest(), "", empty=empty)
    return make_batch(segments, info)


def _whole(ids: np.ndarray) -> Segment:
    return Segment(0, NO_TOKENS, ids.astype(np.uint32), ends=True)


def _highest_id(source: Source, lists: pa.Array, first: int) -> int:
    """The highest id in lists of which the first is row `first`; -1 if there is none.

    Raises:
        InputError: an id is null or out of range; the row is named.
    """
    ids = lists.flatten()
    if _valid(ids):
        return -1 if not len(ids) else int(pc.max(ids).as_py())
    place, row = next((i, r.values) for i, r in enumerate(lists, first) if r.is_valid and not _valid(r.values))
    if row.null_count:
        raise InputError(f"{source.name} row {place} has a null among its token ids; remove it or give it an id")
    ends = pc.min_max(row).as_py()
    raise InputError(
        f"{source.name} row {place} has token ids from {ends['min']} to {ends['max']}; expected 0 to {_LARGEST}"
    )


def _valid(ids: pa.Array) -> bool:
    ends = pc.min_max(ids).as_py()
    return not ids.null_count and (not len(ids) or (ends["min"] >= 0 and ends["max"] <= _LARGEST))


def _lists(source: Source, start: int, count: int | None, id_key: str | None = None) -> Iterator[pa.Array]:
    """The lists of rows [start, start + count), group by group; with `id_key`, structs of id and tokens."""
    with source.open() as handle, pq.ParquetFile(handle) as file:
        names = file.schema_arrow.names
        found = [name for name in COLUMNS if name in names]
        if not found:
            raise InputError(f"{source.name}: expected a column {' or '.join(COLUMNS)} of token ids, found {names}")
        kinds = {name: file.schema_arrow.field(name).type for name in found}
        column = next((name for name in found if _holds_ids(kinds[name])), None)
        if column is None:
            raise InputError(
                f"{source.name}: column {found[0]!r} is {kinds[found[0]]}; expected lists of whole numbers"
            )
        at, stop = 0, file.metadata.num_rows if count is None else start + count
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            low, high = max(at, start), min(at + rows, stop)
            if low < high:
                wanted = [column, *([id_key] if id_key in names else [])]
                table = file.read_row_group(group, wanted).slice(low - at, high - low).combine_chunks()
                lists = table.column(column).combine_chunks()
                if id_key is None:
                    yield lists
                else:
                    ids = table.column(id_key).combine_chunks() if id_key in names else pa.nulls(len(lists))
                    yield pa.StructArray.from_arrays([ids, lists], ["id", "tokens"])
            at += rows


def _holds_ids(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and pa.types.is_integer(kind.value_type))
