"""Batching: units of a corpus -> Arrow token batches.

Covers: one unit to one batch, and a stream of batches in one process. Does not cover: the cluster, which runs
`unit_batch` as Dask tasks on Ray (cluster/feed.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from dask.base import compute
from dask.delayed import delayed

from memo_dist.batches import BatchInfo, make_batch, read_batch
from memo_dist.documents import DocumentRegistry, document_key, record_of
from memo_dist.memory_config import MemoryConfig
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.formats import passages
from pipelines.plan import CorpusOptions, CorpusPlan
from pipelines.reading import Passage, preceding_pieces
from pipelines.release_memory import return_freed_memory
from pipelines.units import Unit

_TOGETHER = 4  # units tokenized at a time in one process


@dataclass(frozen=True)
class Selection:
    """Documents by key: those among `keys` (n,) uint64, sorted, or, without `inside`, all others."""

    keys: np.ndarray
    inside: bool

    def takes(self, document_id: str) -> bool:
        key = np.uint64(document_key(document_id))
        place = int(np.searchsorted(self.keys, key))
        return (place < len(self.keys) and self.keys[place] == key) == self.inside


EVERYTHING = Selection(np.zeros(0, np.uint64), inside=False)


def unit_batch(
    unit: Unit,
    options: CorpusOptions,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection = EVERYTHING,
) -> pa.Table:
    """Read, tokenize and pack one unit.

    Args:
        tokenizer: None for a corpus of token ids.
        context_length: h^L, the tokens of left context that a segment carries.
        selection: the documents to take; others leave no trace in the batch.

    Raises:
        InputError: something in the unit cannot be read; it is named.
    """
    batch = _batch(unit, options, tokenizer=tokenizer, context_length=context_length, selection=selection)
    return_freed_memory()
    return batch


def _batch(
    unit: Unit,
    options: CorpusOptions,
    *,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection,
) -> pa.Table:
    reading = options.reading()
    taken = [p for span in unit.spans for p in passages(span, reading) if selection.takes(p.document_id)]
    segments = []
    for passage, tokens in zip(taken, _tokens(taken, tokenizer), strict=True):
        begins = passage.start == 0
        if not len(tokens) and begins == passage.ends:  # the middle of a document, or all of it
            reading.empty += begins
            continue
        context = _context(passage, tokenizer, context_length)
        segments.append((passage.document_id, Segment(passage.start, context, tokens, passage.ends)))
    info = BatchInfo(
        batch_id=unit.batch_id,
        source=unit.describe(),
        content_hash=reading.content.hexdigest(),
        tokenizer_hash="" if tokenizer is None else tokenizer.hash,
        skipped=reading.skipped,
        replaced=reading.replaced,
        empty=reading.empty,
    )
    return make_batch(segments, info)


def _tokens(taken: list[Passage], tokenizer: Tokenizer | None) -> Iterator[np.ndarray]:
    """The tokens of each passage: its own ids, or its pieces tokenized, those of all passages in one call."""
    texts = [text for passage in taken for text in passage.pieces]
    encoded = iter([] if tokenizer is None else tokenizer.encode(texts))
    for passage in taken:
        if passage.ids is not None:
            yield passage.ids
        else:
            yield np.concatenate([NO_TOKENS, *[next(encoded) for _ in passage.pieces]])


def _context(passage: Passage, tokenizer: Tokenizer | None, length: int) -> np.ndarray:
    """The `length` tokens before a passage, from as many pieces before it as hold them."""
    if tokenizer is None:
        return NO_TOKENS
    count = 1
    while True:
        before = preceding_pieces(passage, count)
        tokens = np.concatenate([NO_TOKENS, *tokenizer.encode(before)])
        if len(tokens) >= length or len(before) < count:
            return tokens[max(0, len(tokens) - length) :]
        count *= 4


def unit_records(
    unit: Unit, options: CorpusOptions, *, tokenizer: Tokenizer | None, config: MemoryConfig
) -> np.ndarray:
    """What one unit holds of which documents: (n, 4) uint64 rows as `DocumentRegistry.to_array` gives them."""
    registry = DocumentRegistry()
    batch = unit_batch(unit, options, tokenizer=tokenizer, context_length=config.context_length)
    for name, segment in read_batch(batch, config):
        key = document_key(name)
        registry.add(key, record_of(key, segment, config.end_of_document))
    return registry.to_array()


def delayed_records(
    units: Iterable[Unit], options: CorpusOptions, *, tokenizer: object, config: MemoryConfig
) -> Iterator[object]:
    """One Dask graph for the `unit_records` of each unit, not yet run, in input order.

    Args:
        tokenizer: a Tokenizer or None, or what the scheduler turns into it for its tasks (a Ray ObjectRef).
    """
    for unit in units:
        # partial: Dask would look through the unit's dataclasses for graphs
        yield delayed(partial(_records_task, unit=unit, options=options, config=config), pure=False)(tokenizer)


def _records_task(
    tokenizer: Tokenizer | None, *, unit: Unit, options: CorpusOptions, config: MemoryConfig
) -> np.ndarray:
    return unit_records(unit, options, tokenizer=tokenizer, config=config)


def delayed_batches(
    units: Iterable[Unit],
    options: CorpusOptions,
    *,
    tokenizer: object,
    context_length: int,
    selection: object = EVERYTHING,
) -> Iterator[object]:
    """One Dask graph for the `unit_batch` of each unit, not yet run, in input order.

    Args:
        tokenizer, selection: as for `unit_batch`, or what the scheduler turns into them for its tasks (Ray ObjectRefs).
    """
    for unit in units:
        # partial: Dask would look through the unit's dataclasses for graphs
        task = partial(_batch_task, unit=unit, options=options, context_length=context_length)
        yield delayed(task, pure=False)(tokenizer, selection)


def _batch_task(
    tokenizer: Tokenizer | None, selection: Selection, *, unit: Unit, options: CorpusOptions, context_length: int
) -> pa.Table:
    return unit_batch(unit, options, tokenizer=tokenizer, context_length=context_length, selection=selection)


def stream_batches(plan: CorpusPlan, tokenizer: Tokenizer | None, context_length: int) -> Iterator[pa.Table]:
    """The batches of a corpus, in order, made by threads of this process; a few are in memory at a time."""
    waiting: list[object] = []
    graphs = delayed_batches(
        plan.units,
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
