"""Tasks of a run: a batch -> its sorted run; a stream -> the runs of its batches.

Covers: the Dask graphs. Does not cover: batches (pipelines/batching.py, streaming.py), starting tasks (sorted_run.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from dask.delayed import delayed

from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.runs.held_run import held_run
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_folder import RunFolder, RunRecord, make_run
from memo_dist.tokenizer import Tokenizer
from pipelines.release_memory import return_freed_memory
from pipelines.selection import Selection
from pipelines.splits import Split
from pipelines.streaming import Stream


def _nothing() -> None:
    """Nothing is required."""


@dataclass(frozen=True, kw_only=True)
class RunTasks:
    """Makes the graphs of runs.

    Attributes:
        folder: for runs. stopped: a file; once it is there, a stream ends after the batch that it is at.
        sign: 1: memorized, -1: forgotten. tokenizer_hash: what batches must carry; "" for any.
        held: runs of batches are made in memory; those of streams are files all the same.
        require: called before each run is made; raises where it is not wanted any more.
    """

    folder: Path
    stopped: Path
    sign: int
    tokenizer_hash: str
    held: bool = False
    require: Callable[[], None] = _nothing

    def of_batch(self, batch: object, encoder: object) -> object:
        """The graph, not yet run, that makes the run of a graph's batch and gives its record, in a list.

        Args:
            encoder: of the memory, or what the scheduler turns into it for its tasks (a Ray ObjectRef).
        """
        return delayed(partial(_of_batch, tasks=self), pure=False)(batch, encoder)

    def of_stream(self, stream: Stream, *, tokenizer: object, selection: object, encoder: object) -> object:
        """The graph, not yet run, that makes the runs of a stream's batches one after the other and gives their
        records, also of those that were there; the last says whether the stream has ended.

        Args:
            tokenizer, selection, encoder: see `of_batch`.
        """
        return delayed(partial(_of_stream, tasks=self, stream=stream), pure=False)(tokenizer, selection, encoder)

    def made(self, split: Split) -> RunRecord | None:
        """The record of the run of a split's batch, if it is there."""
        path = self.folder / split.batch_id
        return RunFolder(path, OpenFiles()).record if path.exists() else None

    def make(self, batch: pa.Table, encoder: HashedEncoder, *, last: bool = False) -> RunRecord:
        """Make the run of a batch."""
        self.require()
        hash_ = self.tokenizer_hash
        record = make_run(batch, self.folder, encoder=encoder, sign=self.sign, tokenizer_hash=hash_, last=last)
        return_freed_memory()
        return record


def _of_batch(batch: pa.Table, encoder: HashedEncoder, *, tasks: RunTasks) -> list[RunRecord]:
    if tasks.held:
        return [held_run(batch, encoder=encoder, sign=tasks.sign, tokenizer_hash=tasks.tokenizer_hash)]
    return [tasks.make(batch, encoder)]


def _of_stream(
    tokenizer: Tokenizer | None, selection: Selection, encoder: HashedEncoder, *, tasks: RunTasks, stream: Stream
) -> list[RunRecord]:
    records = list[RunRecord]()
    while (record := tasks.made(stream.split.part(len(records)))) is not None:
        records.append(record)
        if record.last:
            return records
    for batch, last in stream.batches(tokenizer, selection, lambda part: tasks.made(part) is not None):
        records.append(tasks.make(batch, encoder, last=last))
        del batch
        if tasks.stopped.exists():
            break
    return records
