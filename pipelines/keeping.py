"""Keeping: what tasks do with the files of kept batches.

Covers: keeping the batch that a task has made; taking documents out of kept batches, as batches of what is forgotten
and files of what is left. Does not cover: the files (memo_dist/files/kept_batches.py), which documents (selection.py).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from dask.delayed import delayed

from memo_dist.arrow_arrays import numbers_of
from memo_dist.batches import BatchInfo, KeptChange
from memo_dist.files.kept_batches import less, read_kept, read_places, write_batch
from memo_dist.files.manifest import BatchRecord
from pipelines.release_memory import return_freed_memory
from pipelines.selection import Selection


@dataclass(frozen=True)
class Keeping:
    """Where batches are kept.

    Attributes:
        folder: absolute path of a memory's folder of batches, there on every node.
        vocab_size: of the memory.
    """

    folder: str
    vocab_size: int

    def keep(self, batch: pa.Table) -> pa.Table:
        """Write a batch, unless it is empty; the same batch, which says so.

        Raises:
            StorageError: the file cannot be written.
        """
        if not len(batch):
            return batch
        return write_batch(batch, Path(self.folder), self.vocab_size).on(batch)


@dataclass(frozen=True)
class KeptSplit:
    """A kept batch out of which documents are taken.

    Attributes:
        record: of the file.
        operation: names the change that takes them.
    """

    record: BatchRecord
    operation: str

    @property
    def batch_id(self) -> str:
        """Of the batch of what is taken."""
        words = f"{self.record.file}\n{self.operation}"
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def holds_any(folder: str, record: BatchRecord, selection: Selection) -> bool:
    """Whether a kept batch has segments of selected documents.

    Raises:
        DamagedMemoryError: the file cannot be read; it is named.
    """
    return bool(selection.rows(read_places(Path(folder), record)).any())


def taken_batch(
    selection: Selection, *, split: KeptSplit, before: Keeping, after: Keeping, taken: str = ""
) -> pa.Table:
    """The batch of the selected documents' segments in a kept batch; what is left of that is written as another.

    Args:
        before, after: where the batch is, and where what is left of it is written.
        taken: the list of the selected documents (taken_places.py): the batch stays as it is, less these; "": it is
            written.

    Raises:
        DamagedMemoryError: the file cannot be read; it is named. StorageError: the other cannot be written.
    """
    whole = read_kept(Path(before.folder), split.record, before.vocab_size)
    rows = selection.rows(whole)
    rest = whole.filter(numbers_of(~rows))
    if not len(rest):
        change = KeptChange()
    elif taken:
        change = less(split.record, rest, taken)
    else:
        change = write_batch(rest, Path(after.folder), after.vocab_size)
    info = replace(BatchInfo.of(whole), batch_id=split.batch_id, skipped=0, replaced=0, empty=0)
    gone = whole.filter(numbers_of(rows)).replace_schema_metadata(info.to_metadata())
    batch = replace(change, replaces=split.record.file).on(gone)
    return_freed_memory()
    return batch


def delayed_taken(
    splits: Iterable[KeptSplit], *, selection: object, before: Keeping, after: Keeping, taken: str = ""
) -> Iterator[object]:
    """One Dask graph for the `taken_batch` of each split, not yet run.

    Args:
        selection: a Selection, or what the scheduler turns into one for its tasks (a Ray ObjectRef).
        taken: see taken_batch.
    """
    for split in splits:
        task = partial(taken_batch, split=split, before=before, after=after, taken=taken)
        yield delayed(task, pure=False)(selection)


def delayed_rewritten(records: Iterable[BatchRecord], *, before: Keeping, after: Keeping) -> Iterator[object]:
    """One Dask graph for each kept batch, not yet run, that writes it anew without what was taken out of it.

    Args:
        before, after: where the batches are, and where they are written.
    """
    for record in records:
        yield delayed(partial(_rewritten, record, before, after), pure=False)()


def _rewritten(record: BatchRecord, before: Keeping, after: Keeping) -> KeptChange:
    whole = read_kept(Path(before.folder), record, before.vocab_size)
    change = write_batch(whole, Path(after.folder), after.vocab_size)
    return_freed_memory()
    return replace(change, replaces=record.file)


def delayed_holders(records: list[BatchRecord], *, selection: object, folder: str, together: int) -> Iterator[object]:
    """Dask graphs, not yet run, that say of so many kept batches each, in order, which hold selected documents."""
    for first in range(0, len(records), together):
        task = partial(_holders, records[first : first + together], folder)
        yield delayed(task, pure=False)(selection)


def _holders(records: list[BatchRecord], folder: str, selection: Selection) -> np.ndarray:
    return np.array([holds_any(folder, record, selection) for record in records], bool)
