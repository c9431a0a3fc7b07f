"""Lines: documents laid end to end, as the paper's windows of tokens need them.

Covers: chunks of bounded size with the context that windows need, contexts of a query, which windows are full. Does not
cover: encodings (encoder.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.paper.config import PaperConfig
from memo_dist.segments import Segment

BEGIN = -1  # in a line: the symbol before a document's first token


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


def lay_out(segments: list[Segment], config: PaperConfig, size: int) -> Iterator[Chunk]:
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


def query_lines(contexts: list[np.ndarray], config: PaperConfig) -> tuple[np.ndarray, np.ndarray]:
    """Contexts of any length, right-aligned: (n, h + h^L) int64 lines padded by BEGIN, and (n,) how long they are."""
    reach, width = config.context_length, config.context_length + config.num_heads
    line = np.full((len(contexts), width), BEGIN, np.int64)
    known = np.empty(len(contexts), np.int64)
    for row, context in enumerate(contexts):
        tail = np.asarray(context, np.int64)[-reach:]
        line[row, width - len(tail) :] = tail
        known[row] = len(context)
    return line, known


def filled_windows(known: np.ndarray, config: PaperConfig, at_start: bool | np.ndarray) -> np.ndarray:
    """Which windows are full after (n,) `known` tokens, (n, L) bool; layer 0 also where the document begins there."""
    filled = known[:, None] >= np.asarray(config.windows)[None, :]
    filled[:, 0] |= np.asarray(at_start)
    return np.asarray(filled)
