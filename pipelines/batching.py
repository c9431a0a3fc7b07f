"""Batching: splits of a corpus -> Arrow token batches.

Covers: one split to one batch, and a stream of batches in one process. Does not cover: segments of documents
(segmenting.py), streams (streaming.py), the cluster, which runs `split_batch` as Dask tasks on Ray (cluster/feed.py).

A split is read as a stream: of its documents there are a few thousand in memory as Python objects, the others are in
the batch. A batch is made of as many chunks.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa
from dask.base import compute
from dask.delayed import delayed

from memo_dist.batches import BatchInfo, make_batch, with_rejects
from memo_dist.segments import Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.formats import passages
from pipelines.keeping import Keeping
from pipelines.plan import CorpusOptions, CorpusPlan
from pipelines.reading import Passage, Reading
from pipelines.release_memory import return_freed_memory
from pipelines.segmenting import segments_of
from pipelines.selection import EVERYTHING, Selection
from pipelines.splits import Split

_TOGETHER = 4  # splits tokenized at a time in one process
_PART_TOKENS = 1 << 20  # of a chunk of a batch
_PART_ROWS = 1 << 12  # likewise; each is kilobytes of Python objects until it is in the chunk
_OF_A_PART = BatchInfo(batch_id="", source="", content_hash="", tokenizer_hash="")


def split_batch(
    split: Split,
    options: CorpusOptions,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection = EVERYTHING,
) -> pa.Table:
    """Read, tokenize and pack one split.

    Args:
        tokenizer: None for a corpus of token ids.
        context_length: h^L, the tokens of left context that a segment carries.
        selection: the documents to take; others leave no trace in the batch.

    Raises:
        InputError: something in the split cannot be read; it is named.
    """
    reading = options.reading()
    taken = (passage for span in split.spans for passage in passages(span, reading))
    return packed(split, taken, reading, tokenizer=tokenizer, context_length=context_length, selection=selection)


def packed(
    split: Split,
    taken: Iterable[Passage],
    reading: Reading,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection = EVERYTHING,
) -> pa.Table:
    """The batch of a split's passages, as they are read.

    Args:
        reading: by which they are read; what it finds is told in the batch.

    Raises:
        InputError: something in the split cannot be read; it is named.
    """
    parts = list(_parts(taken, reading, tokenizer=tokenizer, context_length=context_length, selection=selection))
    info = BatchInfo(
        batch_id=split.batch_id,
        source=split.describe(),
        content_hash=reading.content.hexdigest(),
        tokenizer_hash="" if tokenizer is None else tokenizer.hash,
        skipped=reading.skipped,
        replaced=reading.replaced,
        empty=reading.empty,
    )
    batch = pa.concat_tables([make_batch([], _OF_A_PART), *parts]).replace_schema_metadata(info.to_metadata())
    batch = with_rejects(batch, reading.rejects)
    return_freed_memory()
    return batch


def batch_parts(
    split: Split,
    reading: Reading,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection = EVERYTHING,
) -> Iterator[pa.Table]:
    """The rows of a split's batch, some at a time; what reading found is complete after the last.

    Raises:
        InputError: something in the split cannot be read; it is named.
    """
    taken = (passage for span in split.spans for passage in passages(span, reading))
    return _parts(taken, reading, tokenizer=tokenizer, context_length=context_length, selection=selection)


def _parts(
    passages_: Iterable[Passage],
    reading: Reading,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection,
) -> Iterator[pa.Table]:
    taken = (p for p in passages_ if selection.takes(p.document_id, p.origin))
    waiting: list[tuple[str, Segment]] = []
    tokens = 0
    for document_id, segment in segments_of(taken, tokenizer, context_length):
        if not len(segment.tokens) and segment.start == 0 and segment.ends:
            reading.empty += 1
            continue
        waiting.append((document_id, segment))
        tokens += len(segment.tokens)
        if tokens >= _PART_TOKENS or len(waiting) >= _PART_ROWS:
            yield make_batch(waiting, _OF_A_PART)
            waiting, tokens = [], 0
            return_freed_memory()  # else the next texts find no room between tokens that are kept
    if waiting:
        yield make_batch(waiting, _OF_A_PART)


def delayed_batches(
    splits: Iterable[Split],
    options: CorpusOptions,
    *,
    tokenizer: object,
    context_length: int,
    selection: object = EVERYTHING,
    keeping: Keeping | None = None,
) -> Iterator[object]:
    """One Dask graph for the `split_batch` of each split, not yet run, in input order.

    Args:
        tokenizer, selection: as for `split_batch`, or what the scheduler turns into them for its tasks (Ray
            ObjectRefs).
        keeping: where each task keeps its batch as a file; None: nowhere.
    """
    for split in splits:
        # partial: Dask would look through the split's dataclasses for graphs
        task = partial(_batch_task, split=split, options=options, context_length=context_length, keeping=keeping)
        yield delayed(task, pure=False)(tokenizer, selection)


def _batch_task(
    tokenizer: Tokenizer | None,
    selection: Selection,
    *,
    split: Split,
    options: CorpusOptions,
    context_length: int,
    keeping: Keeping | None,
) -> pa.Table:
    batch = split_batch(split, options, tokenizer=tokenizer, context_length=context_length, selection=selection)
    return batch if keeping is None else keeping.keep(batch)


def stream_batches(plan: CorpusPlan, tokenizer: Tokenizer | None, context_length: int) -> Iterator[pa.Table]:
    """The batches of a corpus, in order, made by threads of this process; a few are in memory at a time."""
    waiting: list[object] = []
    graphs = delayed_batches(
        plan.splits,
        plan.options,
        tokenizer=delayed(tokenizer, pure=False, traverse=False),
        context_length=context_length,
        selection=delayed(EVERYTHING, pure=False, traverse=False),
    )
    for graph in graphs:
        waiting.append(graph)
        if len(waiting) == _TOGETHER:
            yield from compute(*waiting, scheduler="threads")
            waiting = []
    yield from compute(*waiting, scheduler="threads")
