"""Token ids: corpora that are tokenized already, each row of a parquet file a document.

Covers: scanning a file for its highest id, reading its rows. Does not cover: columns of text (parquet.py).

A file has a column of lists of whole numbers, `tokens` or `input_ids`, and perhaps one of ids. There is no tokenizer:
the memory is one of bare token ids. The format is chosen by --token-ids, not by the file's ending.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memo_dist.errors import InputError
from memo_dist.segments import NO_TOKENS, Origin
from pipelines.formats.batch_rows import Runs
from pipelines.formats.parquet import ParquetFormat
from pipelines.formats.parquet_rows import opened, rows_between
from pipelines.formats.protocol import ByRows, Measured
from pipelines.long_text import LongText
from pipelines.reading import Passage, Reading, row_id
from pipelines.sources import Source
from pipelines.splits import Span

COLUMNS = ("tokens", "input_ids")
_TOKEN_BYTES = 4
_LARGEST = 2**31 - 1


class TokenIdsFormat(ByRows):
    """A document's id is a column of the row, else "file#row"; its token ids are the row's list."""

    name = "token ids"
    suffixes: tuple[str, ...] = ()
    content = "token ids"

    def taking(self, source: Source) -> Source:
        """A source that was found as a file of text, read as one of token ids.

        Raises:
            InputError: it is no parquet file.
        """
        if source.format != ParquetFormat.name:
            raise InputError(f"{source.name} is no .parquet file; --token-ids takes parquet with a list of ids a row")
        return replace(source, format=self.name)

    def measure(self, source: Source, *, text_key: str, limit: int | None = None) -> Measured:
        """Scan the first `limit` rows, or all: their number, 4 bytes for each token id, and the highest id.

        Raises:
            InputError: the file is broken, has no column of token ids, or an id is null or out of range.
        """
        del text_key
        rows = documents = 0
        highest, runs = -1, Runs()
        for lists in _lists(source, 0, limit):
            highest = max(highest, _highest_id(source, lists, rows))
            lengths = pc.list_value_length(lists)
            runs.add(lengths, _TOKEN_BYTES)
            documents += pc.sum(pc.greater(lengths, 0)).as_py() or 0
            rows += len(lists)
        return Measured(
            replace(source, size=runs.size, rows=rows),
            tokens=runs.size // _TOKEN_BYTES,
            documents=documents,
            vocab_size=highest + 1,
            marks=runs.marks(),
        )

    def passages(self, span: Span, reading: Reading) -> Iterator[Passage]:
        """The documents of the rows of the span, whole; rows without token ids are counted as empty.

        Raises:
            InputError: the file changed since it was planned.
        """
        source, row = span.source, span.start
        for lists in _lists(source, span.start, span.stop, id_key=reading.id_key):
            _highest_id(source, lists.field("tokens"), row)
            for value, tokens in zip(lists.field("id").to_pylist(), lists.field("tokens"), strict=True):
                ids = tokens.values.to_numpy(zero_copy_only=False).astype(np.int64) if tokens.is_valid else NO_TOKENS
                if len(ids):
                    reading.content.update(ids.tobytes())
                    reading.consumed += _TOKEN_BYTES * len(ids)
                    document_id = row_id(value, f"{source.name}#{row}")
                    origin = Origin(source.name, row, "rows")
                    yield Passage(document_id, LongText.of(""), ids=ids.astype(np.uint32), origin=origin)
                else:
                    reading.empty += 1
                row += 1
        if row < span.stop:
            raise InputError(
                f"{source.name} had {source.rows} rows and now has {row}; keep the corpus unchanged during a build"
            )


def _highest_id(source: Source, lists: pa.Array, first: int) -> int:
    """The highest id in lists, of which the first is row `first` of the file; -1 if there is none.

    Raises:
        InputError: an id is null or out of range; the row is named.
    """
    ids = lists.flatten()
    if _valid(ids):
        return -1 if not len(ids) else int(pc.max(ids).as_py())
    row, tokens = next((i, r.values) for i, r in enumerate(lists, first) if r.is_valid and not _valid(r.values))
    if tokens.null_count:
        raise InputError(f"{source.name} row {row} has a null among its token ids; remove it or give it an id")
    ends = pc.min_max(tokens).as_py()
    raise InputError(
        f"{source.name} row {row} has token ids from {ends['min']} to {ends['max']}; expected 0 to {_LARGEST}"
    )


def _valid(ids: pa.Array) -> bool:
    ends = pc.min_max(ids).as_py()
    return not ids.null_count and (not len(ids) or (ends["min"] >= 0 and ends["max"] <= _LARGEST))


def _lists(source: Source, start: int, stop: int | None, *, id_key: str | None = None) -> Iterator[pa.Array]:
    """The lists of rows [start, stop), some at a time; with `id_key`, structs of id and tokens."""
    with opened(source) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    column = _column_of_ids(source, schema)
    columns = [column] if id_key is None or id_key not in schema.names else [column, id_key]
    for batch in rows_between(source, columns, start=start, stop=rows if stop is None else min(stop, rows)):
        lists = batch.column(column)
        if id_key is None:
            yield lists
        else:
            ids = batch.column(id_key) if id_key in columns else pa.nulls(len(lists))
            yield pa.StructArray.from_arrays([ids, lists], ["id", "tokens"])


def _column_of_ids(source: Source, schema: pa.Schema) -> str:
    named = [name for name in COLUMNS if name in schema.names]
    if not named:
        raise InputError(f"{source.name}: expected a column {' or '.join(COLUMNS)} of token ids, found {schema.names}")
    for name in named:
        if _holds_ids(schema.field(name).type):
            return name
    raise InputError(
        f"{source.name}: column {named[0]!r} is {schema.field(named[0]).type}; expected lists of whole numbers"
    )


def _holds_ids(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and pa.types.is_integer(kind.value_type))
