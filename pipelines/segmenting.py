"""Segmenting: passages -> segments, as a stream.

Covers: tokenizing documents of one piece together, and long ones some pieces at a time. Does not cover: the tokens of
long texts (joining.py), packing segments into batches (batching.py).

However long a document is, its tokens leave here some pieces at a time; a segment begins where the last one ended, so
the memory is the same.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.joining import JoinedTokens
from pipelines.reading import Passage

_TOGETHER = 1 << 10  # documents of one piece in one call
_TOGETHER_BYTES = 1 << 20
_RUN = 8  # pieces of a long text in one segment


def segments_of(
    passages: Iterable[Passage], tokenizer: Tokenizer | None, context_length: int
) -> Iterator[tuple[str, Segment]]:
    """The (document id, segment) pairs of passages, in order: of their own ids, or of their text tokenized.

    Raises:
        InputError: a text cannot be read further.
    """
    waiting: list[Passage] = []
    size = 0
    for passage in passages:
        if tokenizer is not None and passage.ids is None and passage.is_one_piece:
            waiting.append(passage)
            size += passage.text.size
            if size < _TOGETHER_BYTES and len(waiting) < _TOGETHER:
                continue
        yield from _together(waiting, tokenizer)
        if not waiting or waiting[-1] is not passage:
            yield from _alone(passage, tokenizer, context_length)
        waiting, size = [], 0
    yield from _together(waiting, tokenizer)


def _together(passages: list[Passage], tokenizer: Tokenizer | None) -> Iterator[tuple[str, Segment]]:
    """Documents of one piece, of text."""
    if not passages or tokenizer is None:
        return
    encoded = tokenizer.encode([text for passage in passages for text in passage.pieces()])
    for passage, tokens in zip(passages, encoded, strict=True):
        whole = Segment(0, NO_TOKENS, tokens, ends=True, stop=passage.text.size, origin=passage.origin)
        yield passage.document_id, whole


def _alone(passage: Passage, tokenizer: Tokenizer | None, context_length: int) -> Iterator[tuple[str, Segment]]:
    if passage.ids is not None or tokenizer is None:
        ids = NO_TOKENS if passage.ids is None else passage.ids
        yield passage.document_id, Segment(0, NO_TOKENS, ids, ends=True, origin=passage.origin)
        return
    joined = JoinedTokens(passage.text, tokenizer)
    context, tokens, first = joined.before(passage.first, context_length), NO_TOKENS, passage.first
    for stop in (*range(passage.first + _RUN, passage.last, _RUN), passage.last):
        last = stop == passage.last
        tokens = joined.tokens(max(first, stop - _RUN), stop)
        if not len(tokens) and not last:  # of a text without tokens there is one segment, which says so
            continue
        ends = last and passage.ends
        end = passage.text.size if ends else joined.start(stop)
        segment = Segment(joined.start(first), context, tokens, ends, stop=end, origin=passage.origin)
        yield passage.document_id, segment
        if context_length:
            context = np.concatenate([context, tokens[-context_length:]])[-context_length:]
        first = stop
