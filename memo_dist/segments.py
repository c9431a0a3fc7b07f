"""Segments: runs of documents' tokens, and how an encoder lays them end to end.

Covers: Segment, chunks of bounded size with the context that windows need. Does not cover: encodings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.memory_config import MemoryConfig

BEGIN = -1  # in a line: the symbol before a document's first token
NO_TOKENS = np.zeros(0, np.uint32)  # the context of a segment that begins its document


@dataclass(frozen=True)
class Segment:
    """A run of one document's tokens.

    Attributes:
        start: where the run begins in its document, 0 for the beginning; bytes of text for files.
        context: the h^L tokens before the run, or all there are if the document has fewer.
        tokens: the run.
        ends: the document's last token is in it, so "end of document" is memorized after it.
    """

    start: int
    context: np.ndarray
    tokens: np.ndarray
    ends: bool


@dataclass(frozen=True)
class Chunk:
    """Pieces of segments laid end to end.

    Attributes:
        line: (m,) int64 token ids, BEGIN where a document has none yet.
        known: (m,) int64; for a target, how many tokens of its document are known before it; -1 for mere context.
            Beyond the longest window the count no longer matters, so a segment's place in its document is not needed.
    """

    line: np.ndarray
    known: np.ndarray


def lay_out(segments: list[Segment], config: MemoryConfig, size: int) -> Iterator[Chunk]:
    """Lay segments end to end, in chunks of about `size` targets.

    Each piece is h BEGIN symbols, then up to h^L tokens of left context, then its targets.
    """
    reach, heads = config.context_length, config.num_heads
    begin = np.full(heads, BEGIN, np.int64)
    lines: list[np.ndarray] = []
    places: list[np.ndarray] = []
    held = 0
    for segment in segments:
        end = np.full(1 if segment.ends else 0, config.end_of_document, np.int64)
        text = np.concatenate([segment.context.astype(np.int64), segment.tokens.astype(np.int64), end])
        at = len(segment.context)
        while at < len(text):
            stop = min(len(text), at + size - held)
            left = max(0, at - reach)
            known = np.full(heads + stop - left, -1, np.int64)
            known[heads + at - left :] = np.arange(at, stop)
            lines.append(np.concatenate([begin, text[left:stop]]))
            places.append(known)
            held += stop - at
            at = stop
            if held >= size:
                yield Chunk(np.concatenate(lines), np.concatenate(places))
                lines, places, held = [], [], 0
    if lines:
        yield Chunk(np.concatenate(lines), np.concatenate(places))


def query_lines(contexts: list[np.ndarray], config: MemoryConfig) -> tuple[np.ndarray, np.ndarray]:
    """Contexts of any length, right-aligned: (n, h + h^L) int64 lines padded by BEGIN, and (n,) how long they are."""
    reach, width = config.context_length, config.context_length + config.num_heads
    line = np.full((len(contexts), width), BEGIN, np.int64)
    known = np.empty(len(contexts), np.int64)
    for row, context in enumerate(contexts):
        tail = np.asarray(context, np.int64)[-reach:]
        line[row, width - len(tail) :] = tail
        known[row] = len(context)
    return line, known
