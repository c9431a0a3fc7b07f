"""Batching: units of a corpus -> Arrow token batches.

Covers: one unit to one batch, and a stream of batches in one process. Does not cover: the cluster, which runs
`unit_batch` as Dask tasks on Ray (cluster/feed.py).
"""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from dask.base import compute
from dask.delayed import delayed

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.encoding.segments import Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, Unit
from pipelines.reading import Passage, Reading
from pipelines.token_ids import token_id_batch

_NOTHING = np.zeros(0, np.uint32)
_WINDOW = 4  # units tokenized at a time in one process


def unit_batch(unit: Unit, options: CorpusOptions, tokenizer: Tokenizer | None, context_length: int) -> pa.Table:
    """Read, tokenize and pack one unit.

    Args:
        tokenizer: None for a corpus of token ids.
        context_length: h^L, the tokens of left context that a segment carries.

    Raises:
        InputError: something in the unit cannot be read; it is named.
    """
    if tokenizer is None:
        return token_id_batch(unit, options)
    reading = options.reading()
    passages = [passage for span in unit.spans for passage in reading.passages(span)]
    encoded = iter(tokenizer.encode([text for passage in passages for text in passage.pieces]))
    segments = []
    for passage in passages:
        tokens = np.concatenate([_NOTHING, *[next(encoded) for _ in passage.pieces]])
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
        tokens = np.concatenate([_NOTHING, *tokenizer.encode(before)])
        if len(tokens) >= length or len(before) < count:
            return tokens[max(0, len(tokens) - length) :]
        count *= 4


def delayed_batches(
    units: Iterable[Unit], options: CorpusOptions, tokenizer: object, context_length: int
) -> Iterator[object]:
    """One Dask graph per unit, not yet run, in input order.

    Args:
        tokenizer: a Tokenizer, or whatever the scheduler turns into one for its tasks (a Ray ObjectRef).
    """
    for unit in units:
        # partial: Dask would look through the unit's dataclasses for graphs
        yield delayed(partial(unit_batch, unit, options), pure=False)(tokenizer, context_length)


def stream_batches(plan: CorpusPlan, tokenizer: Tokenizer | None, context_length: int) -> Iterator[pa.Table]:
    """The batches of a corpus, in order, made by threads of this process; a few are in memory at a time."""
    waiting: list[object] = []
    wrapped = delayed(tokenizer, pure=False, traverse=False)
    for graph in delayed_batches(plan.units, plan.options, wrapped, context_length):
        waiting.append(graph)
        if len(waiting) == _WINDOW:
            yield from compute(*waiting, scheduler="threads")
            waiting = []
    yield from compute(*waiting, scheduler="threads")
