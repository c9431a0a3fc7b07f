"""Memorizing: reflections -> batches of the Arrow contract, as many rows at a time as fit.

Covers: batches, each reflection a document. Does not cover: the document (layout.py), building a memory (building.py).
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.reflections.layout import segments_of
from memo_dist.reflections.reflection import Reflection

TOGETHER = 1 << 11  # reflections of a batch: about a million tokens


def batches_of(reflections: Iterable[Reflection], tokenizer_hash: str, source: str) -> Iterator[pa.Table]:
    """The batches of reflections; one that comes twice is the caller's to leave out.

    Args:
        source: the file, as the command named it.
    """
    rows = iter(reflections)
    while some := list(islice(rows, TOGETHER)):
        segments = [segment for one in some for segment in segments_of(one)]
        content = hashlib.blake2b("\n".join(name for name, _ in segments).encode(), digest_size=16).hexdigest()
        info = BatchInfo(batch_id=content, source=source, content_hash=content, tokenizer_hash=tokenizer_hash)
        yield make_batch(segments, info)
