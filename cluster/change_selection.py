"""Which documents a change takes: what the inputs hold, or what is named, beside what the memory holds.

Covers: one pass over the inputs for their documents' records, the choice, the places of documents that are held, where
the journal says that a document came from. Does not cover: records (pipelines/records.py), the change itself
(change.py).
"""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from cluster.executor import Executor
from cluster.prepare import PreparedCorpus
from memo_dist.arrow_arrays import numbers_of
from memo_dist.document_identities import IDENTITIES, are_held, without
from memo_dist.documents import numbers
from memo_dist.errors import InputError
from memo_dist.files.journal import AddEntry, BuildEntry, ReplaceEntry, SyncEntry
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import BatchRecord, Manifest
from pipelines.keeping import delayed_holders
from pipelines.records import RECORDS, SplitRecords, delayed_records, gathered, identities_in, records_in
from pipelines.selection import Selection

_READ_AT_ONCE = 8  # splits whose records are under way
_HOLDERS_AT_ONCE = 64  # kept batches that one task looks through for documents


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The documents that a change takes.

    Attributes:
        taken: (n,) uint64, their places (place_key). identities: theirs, sorted.
        left: how many others were asked for. other_text: those of them whose id is held with another text.
    """

    taken: np.ndarray
    identities: np.ndarray
    left: int = 0
    other_text: int = 0

    @property
    def tokens(self) -> int:
        """Of the documents."""
        return int(self.identities["tokens"].sum())


NOTHING = Choice(taken=np.zeros(0, np.uint64), identities=np.zeros(0, IDENTITIES))


@dataclass(frozen=True)
class Choices:
    """The documents that a change takes in, and those that it takes out."""

    added: Choice
    removed: Choice

    @property
    def count(self) -> int:
        """How many documents come or go."""
        return len(self.added.taken) + len(self.removed.taken)

    def after(self, held: np.ndarray) -> np.ndarray:
        """The identities of what a memory holds then, sorted."""
        return np.sort(np.concatenate([without(held, self.removed.identities), self.added.identities]))


def records_of(prepared: PreparedCorpus, base: Manifest, executor: Executor) -> np.ndarray:
    """(n,) of RECORDS: the documents of the inputs, from one pass over them.

    Raises:
        InputError: a document is not whole: its file changed meanwhile.
    """
    tokenizer = executor.put(prepared.choice.tokenizer)
    graphs = delayed_records(prepared.corpus.splits, prepared.corpus.options, tokenizer=tokenizer, config=base.config)
    found: list[SplitRecords] = []
    while under_way := list(islice(graphs, _READ_AT_ONCE)):
        found += executor.gather(under_way)
    return gathered(found)


def select(action: str, records: np.ndarray, *, held: np.ndarray, named: dict[int, str]) -> Choice:
    """The documents of the inputs to take.

    Args:
        records: of the inputs. held: identities of what the memory holds. named: documents by key; {}: all.

    Raises:
        InputError: a named document is held, and the inputs do not have it.
    """
    asked, missing = records, 0
    if named:
        keys = np.array(list(named), np.uint64)
        asked = records[np.isin(records["key"], keys)]
        absent = ~np.isin(keys, asked["key"])
        missing = int(absent.sum())
        if len(gone := keys[absent & np.isin(keys, held["key"])]):
            raise InputError(
                f"{', '.join(named[key] for key in gone.tolist())} is held, but no longer where it was looked for; "
                "give INPUT, its text (and --text-key, --id-key and --errors as when it was memorized)"
            )
    identities = identities_in(asked)
    id_held = np.isin(identities["key"], held["key"])
    text_held = are_held(identities, held)
    fits = ~id_held if action == "add" else text_held
    return Choice(
        taken=asked["place"][fits],
        identities=np.sort(identities[fits]),
        left=int((~fits).sum()) + missing,
        other_text=int((id_held & ~text_held).sum()),
    )


def select_sync(records: np.ndarray, *, held: np.ndarray, keep_missing: bool) -> tuple[Choice, np.ndarray]:
    """What to take in so that a memory is what its inputs are, and the identities of what to take out, sorted.

    Args:
        records: of the inputs. held: identities of what the memory holds.
        keep_missing: documents whose id no input has stay.
    """
    identities = identities_in(records)
    same = are_held(identities, held)
    gone = without(held, identities[same])
    if keep_missing:
        gone = gone[np.isin(gone["key"], identities["key"])]
    added = Choice(taken=records["place"][~same], identities=np.sort(identities[~same]), left=int(same.sum()))
    return added, gone


def held_places(tables: Iterable[pa.Table], asked: np.ndarray) -> np.ndarray:
    """(n,) uint64: the places of documents that are held, by identity; as many of each as are asked for."""
    found = _under_keys(tables, asked["key"])
    places: np.ndarray = found["place"][are_held(identities_in(found), asked)]
    return places


def named_records(tables: Iterable[pa.Table], named: dict[int, str]) -> Choice:
    """All documents that are held under these keys."""
    keys = np.array(list(named), np.uint64)
    found = _under_keys(tables, keys)
    return Choice(
        taken=found["place"],
        identities=np.sort(identities_in(found)),
        left=int((~np.isin(keys, found["key"])).sum()),
    )


def _under_keys(tables: Iterable[pa.Table], keys: np.ndarray) -> np.ndarray:
    """(n,) of RECORDS: those of tables of documents.SCHEMA that have one of the keys."""
    found, keys = [np.zeros(0, RECORDS)], np.unique(keys)
    for table in tables:
        theirs = numbers(table, "key")
        nearest = np.minimum(np.searchsorted(keys, theirs), max(len(keys) - 1, 0))
        found.append(records_in(table.filter(numbers_of(keys[nearest] == theirs))) if len(keys) else found[0])
    return np.concatenate(found)


def holders(kept: KeptBatches, selection: Selection, executor: Executor) -> list[BatchRecord]:
    """The kept batches that hold segments of selected documents.

    Raises:
        DamagedMemoryError: one cannot be read; it is named.
    """
    graphs = delayed_holders(
        kept.records, selection=executor.put(selection), folder=str(kept.folder.absolute()), together=_HOLDERS_AT_ONCE
    )
    found = [np.zeros(0, bool)]
    while under_way := list(islice(graphs, _READ_AT_ONCE)):
        found += executor.gather(under_way)
    return [kept.records[row] for row in np.flatnonzero(np.concatenate(found))]


def sources_of(memory: Path, manifest: Manifest, documents: tuple[str, ...]) -> list[str]:
    """Where the journal says that documents may have come from.

    A document that is a file is read from the file of that name; rows are looked for in everything that was memorized.

    Raises:
        InputError: the journal names nothing, or nothing that is still there.
    """
    if not documents:
        return []
    if manifest.tokenizer_hash and all(Path(document).is_file() for document in documents):
        return list(documents)
    named = [
        name
        for entry in manifest.sources
        if isinstance(entry, BuildEntry | AddEntry | SyncEntry | ReplaceEntry)
        for name in entry.inputs
    ]
    there = [
        name for name in dict.fromkeys(named) if "://" in name or Path(name).exists() or glob.glob(name, recursive=True)
    ]
    if not there:
        what = f"is gone ({', '.join(dict.fromkeys(named))})" if named else "is not in its journal"
        raise InputError(
            f"{memory} keeps no tokens, and what it was made from {what}; give INPUT, the text of "
            f"{', '.join(documents)}"
        )
    return there
