"""CorpusIndex: what follows what in a corpus, found by search in its tokens. The truth that benchmarks compare with.

Covers: places of a context, the longest stretch of a prompt that stands before an answer. It shares nothing with
the memory: windows are named by sampling.context_names, and every hit is compared token by token. Does not cover:
corpora as lines of units (unit_index.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from memo_dist.batches import read_batch
from memo_dist.measuring.sampling import BEGIN, context_names
from memo_dist.memory_config import MemoryConfig


class CorpusIndex:
    """Searches in one line of numbers.

    Args:
        line: (n,) int64 all documents of a corpus, with BEGIN after each.
    """

    def __init__(self, line: np.ndarray) -> None:
        self.line = line
        self._sorted: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def places(self, context: np.ndarray) -> np.ndarray:
        """Where in the line the token after `context` stands, wherever the context does."""
        length = len(context)
        names, order = self._names(length)
        name = context_names(np.asarray(context, np.int64), length)[0]
        first, last = np.searchsorted(names, name), np.searchsorted(names, name, side="right")
        found = order[first:last] + length
        same = [self.line[found - length + j] == token for j, token in enumerate(np.asarray(context).tolist())]
        return np.asarray(found[np.all(same, axis=0)])

    def following(self, context: np.ndarray) -> Counter[int]:
        """How often each number follows the context."""
        return Counter(self.line[self.places(context)].tolist())

    def longest_before(self, prompt: np.ndarray, answer: list[int], least: int = 4) -> int:
        """The most last tokens of `prompt` that stand somewhere before the whole answer; 0 if fewer than `least`."""
        found = self.places(prompt[-least:])
        for step, token in enumerate(answer):
            found = found[found + step < len(self.line)]
            found = found[self.line[found + step] == token]
        length = least if len(found) else 0
        while 0 < length < len(prompt):
            found = found[(found > length) & (self.line[found - length - 1] == prompt[-length - 1])]
            if not len(found):
                break
            length += 1
        return length

    def _names(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        if length not in self._sorted:
            names = context_names(self.line, length)[:-1]  # of windows that something follows
            order = np.argsort(names, kind="stable")
            self._sorted[length] = names[order], order
        return self._sorted[length]


def token_index(batches: Iterable[pa.Table], config: MemoryConfig) -> CorpusIndex:
    """All documents of a corpus in one line of tokens, each with "end of document" after it."""
    end = np.array([config.end_of_document, BEGIN])
    return CorpusIndex(
        np.concatenate([part for tokens in documents_of(batches, config) for part in (np.array(tokens), end)])
    )


def documents_of(batches: Iterable[pa.Table], config: MemoryConfig) -> Iterator[list[int]]:
    """The tokens of each document, its segments put together."""
    documents: dict[str, list[tuple[int, np.ndarray]]] = {}
    for batch in batches:
        for name, segment in read_batch(batch, config):
            documents.setdefault(name, []).append((segment.start, segment.tokens))
    for pieces in documents.values():
        yield np.concatenate([tokens for _, tokens in sorted(pieces, key=lambda piece: piece[0])]).tolist()
