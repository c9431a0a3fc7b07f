"""The Arrow contract between pipelines (which write batches) and cluster (which makes runs of them).

Covers: the schema, its metadata, building and reading batches. Does not cover: where text comes from, or transport.

A batch is some documents or document segments in input order:
    document_id     string          unique name of the document
    source          string          the file or URL that the document was read from, as the command named it
    position        uint64          where the document begins in its source; 0 if it is the whole of it
    position_in     string          what position counts: "bytes" of the decompressed file, or "rows"
    segment_start   uint64          where the segment begins in its document, in bytes of text; 0 only at the beginning
    segment_stop    uint64          where it stops, and the document's next segment begins
    context         list<uint32>    the h^L tokens before the segment, or all there are
    tokens          list<uint32>    the segment's tokens
    document_end    bool            the segment holds the document's last token
The context is h^L tokens, one more than the longest window needs before its own last token, because a batch owns the
*targets* it lists: the next token after every window ending at or before its last-but-one token.
Metadata (bytes -> bytes): batch_id, source, content_hash, tokenizer_hash, skipped, replaced. batch_id depends on the
source alone, never on the cluster, so a batch applied twice can be recognised. A batch that is kept as a file says so
in one more, `kept` (KeptChange).
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from memo_dist.arrow_arrays import array_of, numbers_of
from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from memo_dist.memory_config import MemoryConfig
from memo_dist.segments import Origin, Segment

SCHEMA = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("position", pa.uint64(), nullable=False),
        pa.field("position_in", pa.string(), nullable=False),
        pa.field("segment_start", pa.uint64(), nullable=False),
        pa.field("segment_stop", pa.uint64(), nullable=False),
        pa.field("context", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False),
        pa.field("tokens", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False),
        pa.field("document_end", pa.bool_(), nullable=False),
    ]
)
_WORDS = ("document_id", "source", "position", "position_in", "segment_start", "segment_stop", "document_end")


@dataclass(frozen=True)
class KeptChange:
    """What keeping a batch changed among the kept files.

    Attributes:
        file, bytes, blake2b, tokens: of the file written; "" and 0 if nothing was left to write.
        replaces: the file that it stands for from now on; "" for none.
        taken: lists of the documents that the file holds and the batch does not, any more (files/taken_places.py).
    """

    file: str = ""
    bytes: int = 0
    blake2b: str = ""
    tokens: int = 0
    replaces: str = ""
    taken: tuple[str, ...] = ()

    def on(self, table: pa.Table) -> pa.Table:
        """The batch, saying so."""
        return table.replace_schema_metadata({**table.schema.metadata, b"kept": json.dumps(asdict(self)).encode()})

    @classmethod
    def of(cls, table: pa.Table) -> "KeptChange | None":
        """What a batch says of it; None for one that was not kept."""
        said = (table.schema.metadata or {}).get(b"kept")
        return None if said is None else cls.from_dict(parse_json(said))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "KeptChange":
        """What JSON made of one."""
        return cls(**{**values, "taken": tuple(values.get("taken", ()))})


Reject = tuple[str, str]
"""Where a document that was left out stands, and why it was."""


def with_rejects(table: pa.Table, rejects: list[Reject]) -> pa.Table:
    """The batch, naming documents that were left out of it."""
    said = {b"rejects": json.dumps(rejects).encode()} if rejects else {}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **said})


def rejects_of(table: pa.Table) -> list[Reject]:
    """The documents that a batch names as left out."""
    said = (table.schema.metadata or {}).get(b"rejects")
    return [] if said is None else [(str(place), str(reason)) for place, reason in parse_json(said)]


@dataclass(frozen=True)
class BatchInfo:
    """Metadata of a batch. `skipped` and `replaced` count documents that were not valid UTF-8; `empty`, empty ones."""

    batch_id: str
    source: str
    content_hash: str
    tokenizer_hash: str
    skipped: int = 0
    replaced: int = 0
    empty: int = 0

    def to_metadata(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.__dict__.items()}

    @classmethod
    def of(cls, table: pa.Table) -> "BatchInfo":
        """The metadata of a batch.

        Raises:
            InputError: a key is missing.
        """
        found = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        missing = set(cls.__dataclass_fields__) - set(found)
        if missing:
            raise InputError(f"a batch lacks the metadata {sorted(missing)}; see memo_dist/batches.py for the contract")
        return cls(
            batch_id=found["batch_id"],
            source=found["source"],
            content_hash=found["content_hash"],
            tokenizer_hash=found["tokenizer_hash"],
            skipped=int(found["skipped"]),
            replaced=int(found["replaced"]),
            empty=int(found["empty"]),
        )


def make_batch(segments: list[tuple[str, Segment]], info: BatchInfo) -> pa.Table:
    """Pack (document id, segment) pairs, in order, into one batch. A `Table`, because Ray copies a sliced
    RecordBatch together with its whole parent."""
    columns = [
        array_of([document for document, _ in segments], pa.string()),
        array_of([segment.origin.source for _, segment in segments], pa.string()),
        array_of([segment.origin.position for _, segment in segments], pa.uint64()),
        array_of([segment.origin.position_in for _, segment in segments], pa.string()),
        array_of([segment.start for _, segment in segments], pa.uint64()),
        array_of([segment.next_start for _, segment in segments], pa.uint64()),
        _lists([segment.context for _, segment in segments]),
        _lists([segment.tokens for _, segment in segments]),
        array_of([segment.ends for _, segment in segments], pa.bool_()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata(info.to_metadata()))


def _lists(arrays: list[np.ndarray]) -> pa.ListArray:
    offsets = np.zeros(len(arrays) + 1, np.int32)
    np.cumsum([len(a) for a in arrays], out=offsets[1:])
    values = np.concatenate([np.zeros(0, np.uint32), *arrays]).astype(np.uint32)
    return pa.ListArray.from_arrays(numbers_of(offsets), numbers_of(values), type=SCHEMA.field("tokens").type)


def read_batch(table: pa.Table, config: MemoryConfig) -> Iterator[tuple[str, Segment]]:
    """The (document id, segment) pairs of a batch; token arrays are views where Arrow allows.

    Raises:
        InputError: the schema differs, a token is outside the vocabulary, or a segment's context is too short.
    """
    if not table.schema.remove_metadata().equals(SCHEMA):
        raise InputError(f"a batch has the schema {table.schema.names}; expected {SCHEMA.names} with their types")
    for batch in table.to_batches():
        columns = {name: batch.column(name).to_pylist() for name in _WORDS}
        columns |= {name: _arrays(batch.column(name)) for name in ("context", "tokens")}
        for row in zip(*columns.values(), strict=True):
            name, source, position, position_in, start, stop, end, context, run = row
            if len(run) and int(run.max()) >= config.vocab_size:
                raise InputError(
                    f"document {name!r} has token id {int(run.max())}, outside the vocabulary of {config.vocab_size}; "
                    "was the batch made with another tokenizer?"
                )
            if len(context) > (config.context_length if start else 0):
                raise InputError(
                    f"document {name!r}, segment at {start}: {len(context)} tokens of context; expected none at the "
                    f"document's beginning and at most {config.context_length} elsewhere"
                )
            yield name, Segment(start, context, run, end, stop=stop, origin=Origin(source, position, position_in))


def _arrays(column: pa.ListArray) -> list[np.ndarray]:
    # not to_numpy(), which loads pandas, a third of a second and 40 MB in every shard's process
    offsets, values = np.from_dlpack(column.offsets), np.from_dlpack(column.values)
    return [values[start:stop] for start, stop in itertools.pairwise(offsets)]
