"""RunFolder: what one batch gives a memory, whatever its number of banks and shards, in a folder of its own.

Covers: making one of a batch, committing it, reading it. Does not cover: one file of it (run_file.py), merging
(merging.py), which batches there are (cluster).

    record.json            the record: what the batch was, and its sign: memorized (1) or forgotten (-1)
    next-00000.arrow, ...  its (window, next token) pairs, one file for each chunk of 2^18 positions
    anchors.arrow          its (window, document) pairs
    documents.arrow        the records of its documents (documents.SCHEMA), sorted by key
All of them are indexed by the top bits of names or keys, so that a merge reads its range.
A folder is written under another name and renamed, so that it is there whole or not at all: the folders that are there
are what a build has done. Making one again changes nothing.
"""

import hashlib
import json
import secrets
import shutil
from dataclasses import asdict, dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, KeptChange, Reject, read_batch, rejects_of
from memo_dist.document_parts import DocumentPart, document_key, parts_of
from memo_dist.documents import SCHEMA, numbers, table_of
from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import DamagedMemoryError, TokenizerError
from memo_dist.json_text import parse_json
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import NO_ENTRIES, Entries, counted
from memo_dist.runs.indexed_file import naming_run, part_bounds, read_parts, write_parts
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_file import read_run_file, write_run_file
from memo_dist.segments import Segment
from memo_dist.shard import owned

_RECORD, _ANCHORS, _DOCUMENTS = "record.json", "anchors.arrow", "documents.arrow"
_DOCUMENT_ROWS = 1 << 7  # records of a part, about
_DIGEST = "digest"  # of a record, among its values
EVERY_BANK = range(1)  # of a config of one bank: names do not depend on the number of banks


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run is of.

    Attributes:
        sign: 1: memorized, -1: forgotten.
        tokens, documents: of the batch; documents counts those that begin in it.
        skipped, replaced, empty: see BatchInfo.
        parts: files of next tokens. rows, anchors: in all of its files.
        kept: the batch's file, if it is kept.
        rejects: documents that were left out, as far as the batch names them.
        last: whether it is of the last batch of a stream; who reads a stream knows by this that it has no more.
    """

    batch_id: str
    sign: int
    tokens: int
    documents: int
    skipped: int
    replaced: int
    empty: int
    parts: int
    rows: int
    anchors: int
    kept: KeptChange | None = None
    rejects: list[Reject] = field(default_factory=list)
    last: bool = False

    def to_json(self) -> str:
        """For the run's folder, with a digest of itself."""
        values = asdict(self)
        return json.dumps({**values, _DIGEST: _digest(values)})

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """What `to_json` gave.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: something else.
        """
        values = parse_json(text)
        if values.pop(_DIGEST) != _digest(values):
            raise ValueError("its digest does not match")
        kept = values.pop("kept")
        rejects = [(str(place), str(reason)) for place, reason in values.pop("rejects")]
        return cls(**values, rejects=rejects, kept=None if kept is None else KeptChange.from_dict(kept))


def make_run(
    batch: pa.Table, folder: Path, *, encoder: HashedEncoder, sign: int, tokenizer_hash: str, last: bool = False
) -> RunRecord:
    """Make the run of a batch in `folder`.

    Args:
        encoder: of the memory. tokenizer_hash: what batches must carry; "" for any.
        last: whether the batch is the last of a stream.

    Raises:
        TokenizerError: the batch was made with another tokenizer. InputError: it breaks the contract.
        StorageError: the run cannot be written; nothing is left behind.
    """
    info = info_of(batch, tokenizer_hash)
    place, temporary = folder / info.batch_id, folder / f"{info.batch_id}.{secrets.token_hex(4)}.tmp"
    try:
        with writing(place):
            temporary.mkdir(parents=True)
            record = replace(_write(batch, info, temporary, encoder=encoder, sign=sign), last=last)
            write_text(temporary / _RECORD, record.to_json())
            sync_directory(temporary)
            if not place.exists():
                temporary.rename(place)
    except OSError:
        if not place.exists():
            raise
        record = RunFolder(place, OpenFiles()).record  # another attempt made it meanwhile
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def info_of(batch: pa.Table, tokenizer_hash: str) -> BatchInfo:
    """What a batch says of itself.

    Args:
        tokenizer_hash: that it must carry; "" for any.

    Raises:
        TokenizerError: it was made with another tokenizer. InputError: it breaks the contract.
    """
    info = BatchInfo.of(batch)
    if tokenizer_hash and info.tokenizer_hash != tokenizer_hash:
        raise TokenizerError(
            f"batch {info.source} was tokenized with {info.tokenizer_hash}; this memory has {tokenizer_hash}"
        )
    return info


def _write(batch: pa.Table, info: BatchInfo, folder: Path, *, encoder: HashedEncoder, sign: int) -> RunRecord:
    documents = list(read_batch(batch, encoder.config))
    rows = parts = 0
    anchored: list[Associations] = []
    for following, anchors in encoder.kinds(owned(documents), EVERY_BANK):
        entries = counted(following)
        write_run_file(folder / _next(parts), entries)
        rows, parts = rows + len(entries), parts + 1
        anchored.append(anchors)
    few = counted(joined(anchored))
    write_run_file(folder / _ANCHORS, few)
    records = signed_records(documents, sign)
    _write_documents(folder / _DOCUMENTS, table_of(records))
    facts = facts_of(batch, info, records, sign=sign)
    return RunRecord(**facts, parts=parts, rows=rows, anchors=len(few))


def signed_records(documents: list[tuple[str, Segment]], sign: int) -> list[tuple[int, DocumentPart]]:
    """The keys and records of a batch's (id, segment) pairs, sorted by key."""
    keys = [document_key(name) for name, _ in documents]
    records = [part._replace(times=sign) for part in parts_of(documents, keys)]
    return sorted(zip(keys, records, strict=True), key=itemgetter(0))


def facts_of(batch: pa.Table, info: BatchInfo, records: list[tuple[int, DocumentPart]], *, sign: int) -> dict[str, Any]:
    """What a RunRecord says of its batch."""
    return {
        "batch_id": info.batch_id,
        "sign": sign,
        "tokens": sum(part.tokens for _, part in records),
        "documents": sum(part.start == 0 for _, part in records),
        "skipped": info.skipped,
        "replaced": info.replaced,
        "empty": info.empty,
        "kept": KeptChange.of(batch),
        "rejects": rejects_of(batch),
    }


class RunFolder:
    """A run that is there; a Source of merging.py.

    Args:
        path: its folder. files: what is open of it, and of others.

    Raises:
        DamagedMemoryError: it is not whole.
    """

    def __init__(self, path: Path, files: OpenFiles) -> None:
        self.path, self._files = path, files
        try:
            self.record = RunRecord.from_json((path / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise DamagedMemoryError(
                f"{path} is no whole run of a build ({_RECORD}: {error}); remove it and run it again"
            ) from error

    def next(self, low: int, high: int) -> list[Entries]:
        """The (window, next token) pairs whose names lie in [low, high), sorted, file by file, with signed counts."""
        return [self._signed(_next(part), low, high) for part in range(self.record.parts)]

    def anchors(self, low: int, high: int) -> list[Entries]:
        """The (window, document) pairs."""
        return [self._signed(_ANCHORS, low, high)] if self.record.anchors else []

    def documents(self, low: int, high: int) -> list[pa.Table]:
        """The records of its documents whose keys lie in [low, high).

        Raises:
            DamagedMemoryError: they cannot be read, or were altered.
        """
        path = self.path / _DOCUMENTS
        with naming_run(path):
            table = pa.Table.from_batches(read_parts(path, low, high, files=self._files), schema=SCHEMA)
        keys = numbers(table, "key")
        start, stop = np.searchsorted(keys, np.uint64(low)), np.searchsorted(keys, np.uint64(high - 1), "right")
        return [table.slice(start, stop - start)]

    def _signed(self, name: str, low: int, high: int) -> Entries:
        entries = read_run_file(self.path / name, low, high, files=self._files)
        return Entries(entries.names, entries.tokens, entries.counts * self.record.sign)


def run_folders(folder: Path, files: OpenFiles | None = None) -> list[RunFolder]:
    """The runs that are there, by the ids of their batches.

    Args:
        files: what is to be open of them; None: nothing, but while it is read.
    """
    if not folder.is_dir():
        return []
    files = files or OpenFiles()
    return [RunFolder(path, files) for path in sorted(folder.iterdir()) if not path.name.endswith(".tmp")]


def _digest(values: dict[str, object]) -> str:
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()


def _next(part: int) -> str:
    return f"next-{part:05d}.arrow"


def joined(associations: list[Associations]) -> Associations:
    """All of them, one behind the other."""
    names = np.concatenate([NO_ENTRIES.names, *(one.names for one in associations)])
    return Associations(names, np.concatenate([NO_ENTRIES.tokens, *(one.tokens for one in associations)]))


def _write_documents(path: Path, table: pa.Table) -> None:
    batches = table.combine_chunks().to_batches()
    # a table without rows has none
    rows = batches[0] if batches else pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in SCHEMA], schema=SCHEMA)
    write_parts(path, rows, part_bounds(numbers(table, "key"), _DOCUMENT_ROWS))
