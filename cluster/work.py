"""Work: the splits of a run and the tasks that make their batches.

Covers: splits of a corpus; kept batches out of which documents are taken; the list of a memory's kept batches as a run
changes it. Does not cover: feeding batches to shards (feed.py), attempts and checkpoints (stream_run.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cluster.executor import Executor
from memo_dist.batches import KeptChange
from memo_dist.files.manifest import BatchRecord
from memo_dist.memory_config import MemoryConfig
from memo_dist.tokenizer import Tokenizer
from pipelines.batching import delayed_batches
from pipelines.keeping import Keeping, KeptSplit, delayed_taken
from pipelines.plan import CorpusPlan
from pipelines.selection import EVERYTHING, Selection
from pipelines.streaming import Stream

_TOKEN_BYTES = 4  # of a batch


class Work(Protocol):
    """What a run makes batches of.

    Attributes:
        splits: the number of batches; about, if there are streams.
        files: how many files of a corpus they are parts of; 0 if there is no corpus.
    """

    @property
    def splits(self) -> int: ...
    @property
    def files(self) -> int: ...

    def batch_bytes(self, tokens: int) -> int:
        """About what the largest batch takes; `tokens` are those of all splits, as planned."""
        ...

    def graphs(self, applied: set[str], executor: Executor) -> Iterator[object]:
        """A Dask graph for each split's batch, but for those whose batch is applied and for streams."""
        ...

    def streams(self) -> Iterator[Stream]:
        """The splits of which many batches are made each."""
        ...

    def put_tokenizer(self, executor: Executor) -> tuple[object, object]:
        """Tokenizer and selection, as arguments of a stream's graph."""
        ...


@dataclass(frozen=True, kw_only=True)
class CorpusWork:
    """Splits of a corpus.

    Attributes:
        selection: the documents taken. keeping: where batches are kept; None: nowhere.
    """

    corpus: CorpusPlan
    tokenizer: Tokenizer | None
    config: MemoryConfig
    selection: Selection = EVERYTHING
    keeping: Keeping | None = None

    @property
    def splits(self) -> int:
        return self.corpus.splits.batches

    @property
    def files(self) -> int:
        return self.corpus.files

    def batch_bytes(self, tokens: int) -> int:
        return _TOKEN_BYTES * max(1, self.corpus.largest_split * tokens // max(self.corpus.text_bytes, 1))

    def graphs(self, applied: set[str], executor: Executor) -> Iterator[object]:
        tokenizer, selection = self.put_tokenizer(executor)
        return delayed_batches(
            (split for split in self.corpus.splits.others() if split.batch_id not in applied),
            self.corpus.options,
            tokenizer=tokenizer,
            context_length=self.config.context_length,
            selection=selection,
            keeping=self.keeping,
        )

    def streams(self) -> Iterator[Stream]:
        for split in self.corpus.splits.streams():
            yield Stream(
                split=split,
                options=self.corpus.options,
                context_length=self.config.context_length,
                keeping=self.keeping,
            )

    def put_tokenizer(self, executor: Executor) -> tuple[object, object]:
        return executor.put(self.tokenizer), executor.put(self.selection)


@dataclass(frozen=True, kw_only=True)
class KeptWork:
    """Kept batches out of which documents are taken.

    Attributes:
        kept: the batches that hold any of them.
        selection: the documents.
        before, after: where the batches are, and where what is left of them is written.
        taken: the list of the documents, if batches are left as they are; see `taken_batch`.
    """

    kept: list[KeptSplit]
    selection: Selection
    before: Keeping
    after: Keeping
    files: int = 0
    taken: str = ""

    @property
    def splits(self) -> int:
        return len(self.kept)

    def batch_bytes(self, tokens: int) -> int:
        del tokens
        return _TOKEN_BYTES * max((split.record.tokens for split in self.kept), default=1)

    def graphs(self, applied: set[str], executor: Executor) -> Iterator[object]:
        missing = [split for split in self.kept if split.batch_id not in applied]
        selection = executor.put(self.selection)
        return delayed_taken(missing, selection=selection, before=self.before, after=self.after, taken=self.taken)

    def streams(self) -> Iterator[Stream]:
        return iter(())

    def put_tokenizer(self, executor: Executor) -> tuple[object, object]:
        return executor.put(None), executor.put(self.selection)


@dataclass(frozen=True, kw_only=True)
class BothWork:
    """Splits of a corpus whose documents are taken in, and kept batches whose documents are taken out.

    Attributes:
        added: what is taken in. removed: what is taken out. None: nothing.
    """

    added: CorpusWork | None
    removed: KeptWork | None

    @property
    def parts(self) -> list[tuple[int, Work]]:
        """Signs, 1 for what is taken in, with the work."""
        both: list[tuple[int, Work | None]] = [(1, self.added), (-1, self.removed)]
        return [(sign, work) for sign, work in both if work is not None]

    @property
    def splits(self) -> int:
        return sum(work.splits for _, work in self.parts)

    @property
    def files(self) -> int:
        return max(work.files for _, work in self.parts)

    def batch_bytes(self, tokens: int) -> int:
        return max(work.batch_bytes(tokens) for _, work in self.parts)

    def graphs(self, applied: set[str], executor: Executor) -> Iterator[object]:
        return (graph for _, work in self.parts for graph in work.graphs(applied, executor))

    def streams(self) -> Iterator[Stream]:
        return iter(()) if self.added is None else self.added.streams()

    def put_tokenizer(self, executor: Executor) -> tuple[object, object]:
        return self.parts[0][1].put_tokenizer(executor)


def keeping_in(folder: Path, config: MemoryConfig) -> Keeping:
    """Keeping in a memory's folder of batches."""
    return Keeping(str(folder.absolute()), config.vocab_size)


class KeptList:
    """The kept batches of a memory, as a run has changed them so far.

    Args:
        records: before.
    """

    def __init__(self, records: Iterable[BatchRecord]) -> None:
        self._records = {record.file: record for record in records}

    def count(self, answers: list[Any]) -> None:
        """Take what the shards say of a split (memo_dist.shard.Applied); all say the same of its file."""
        change: KeptChange | None = answers[0].kept
        if change is not None:
            self.change(change)

    def change(self, change: KeptChange) -> None:
        """Take what keeping a batch changed."""
        self._records.pop(change.replaces, None)
        if change.file:
            record = BatchRecord(change.file, change.bytes, change.blake2b, change.tokens, taken=change.taken)
            self._records[change.file] = record

    @property
    def records(self) -> list[BatchRecord]:
        """All of them."""
        return list(self._records.values())
