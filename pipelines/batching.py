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
from memo_dist.config import MemoryConfig
from memo_dist.documents import DocumentRegistry, document_key, record_of
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, Unit
from pipelines.reading import Passage, Reading
from pipelines.release_memory import return_freed_memory
from pipelines.token_ids import token_id_batch

_WINDOW = 4  # units tokenized at a time in one process


@dataclass(frozen=True)
class Selection:
    """Documents by key: those among `keys` (n,) uint64, sorted, or, without `inside`, all others."""

    keys: np.ndarray
    inside: bool

    def takes(self, document_id: str) -> bool:
        key = np.uint64(document_key(document_id))
        at = int(np.searchsorted(self.keys, key))
        return (at < len(self.keys) and self.keys[at] == key) == self.inside


EVERYTHING = Selection(np.zeros(0, np.uint64), inside=False)


def unit_batch(
    unit: Unit,
    options: CorpusOptions,
    tokenizer: Tokenizer | None,
    context_length: int,
    selection: Selection = EVERYTHING,
) -> pa.Table:
    """Read, tokenize and pack one unit.

    Args:
        tokenizer: None for a corpus of token ids.
        selection: the documents to take; others leave no trace in the batch.
        context_length: h^L, the tokens of left context that a segment carries.

    Raises:
        InputError: something in the unit cannot be read; it is named.
    """
    if tokenizer is None:
        return token_id_batch(unit, options, selection.takes)
    batch = _text_batch(unit, options, tokenizer, context_length, selection)
    return_freed_memory()
    return batch


def _text_batch(
    unit: Unit, options: CorpusOptions, tokenizer: Tokenizer, context_length: int, selection: Selection
) -> pa.Table:
    reading = options.reading()
    passages = [p for span in unit.spans for p in reading.passages(span) if selection.takes(p.document_id)]
    encoded = iter(tokenizer.encode([text for passage in passages for text in passage.pieces]))
    segments = []
    for passage in passages:
        tokens = np.concatenate([NO_TOKENS, *[next(encoded) for _ in passage.pieces]])
        begins = passage.start == 0
        if not len(tokens) and begins == passage.ends:  # the middle of a document, or all of it
            reading.empty += begins
            continue
        context = _context(reading, passage, tokenizer, context_length)
        segments.append((passage.document_id, Segment(passage.start, context, tokens, passage.ends)))
    info = BatchInfo(
        batch_id=unit.batch_id,
        source=unit.describe(),
        content_hash=reading.content.hexdigest(),
        tokenizer_hash=tokenizer.hash,
        skipped=reading.skipped,
        replaced=reading.replaced,
        empty=reading.empty,
    )
    return make_batch(segments, info)


def _context(reading: Reading, passage: Passage, tokenizer: Tokenizer, length: int) -> np.ndarray:
    """The `length` tokens before a passage, from as many pieces before it as that takes."""
    count = 1
    while True:
        before = reading.preceding(passage, count)
        tokens = np.concatenate([NO_TOKENS, *tokenizer.encode(before)])
        if len(tokens) >= length or len(before) < count:
            return tokens[max(0, len(tokens) - length) :]
        count *= 4


def unit_records(unit: Unit, options: CorpusOptions, tokenizer: Tokenizer | None, config: MemoryConfig) -> np.ndarray:
    """What one unit holds of which documents: (n, 4) uint64 rows as `DocumentRegistry.to_array` gives them."""
    registry = DocumentRegistry()
    for name, segment in read_batch(unit_batch(unit, options, tokenizer, config.context_length), config):
        key = document_key(name)
        registry.add(key, record_of(key, segment, config.end_of_document))
    return registry.to_array()


def delayed_records(
    units: Iterable[Unit], options: CorpusOptions, tokenizer: object, config: MemoryConfig
) -> Iterator[object]:
    """One Dask graph per unit for `unit_records`."""
    for unit in units:
        yield delayed(partial(_records, unit, options, config), pure=False)(tokenizer)


def _records(unit: Unit, options: CorpusOptions, config: MemoryConfig, tokenizer: Tokenizer | None) -> np.ndarray:
    return unit_records(unit, options, tokenizer, config)


def delayed_batches(
    units: Iterable[Unit],
    options: CorpusOptions,
    tokenizer: object,
    context_length: int,
    selection: object = EVERYTHING,
) -> Iterator[object]:
    """One Dask graph per unit, not yet run, in input order.

    Args:
        tokenizer, selection: as for `unit_batch`, or what the scheduler turns into them for its tasks (Ray ObjectRefs).
    """
    for unit in units:
        # partial: Dask would look through the unit's dataclasses for graphs
        yield delayed(partial(unit_batch, unit, options), pure=False)(tokenizer, context_length, selection)


def stream_batches(plan: CorpusPlan, tokenizer: Tokenizer | None, context_length: int) -> Iterator[pa.Table]:
    """The batches of a corpus, in order, made by threads of this process; a few are in memory at a time."""
    waiting: list[object] = []
    wrapped, everything = (delayed(item, pure=False, traverse=False) for item in (tokenizer, EVERYTHING))
    for graph in delayed_batches(plan.units, plan.options, wrapped, context_length, everything):
        waiting.append(graph)
        if len(waiting) == _WINDOW:
            yield from compute(*waiting, scheduler="threads")
            waiting = []
    yield from compute(*waiting, scheduler="threads")
