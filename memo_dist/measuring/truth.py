"""Truth: what a corpus says of given contexts, as a memory's keys read them; what recall is held against.

Covers: the longest window of each context, the tokens that follow it in the corpus, whether it is there at all. Does
not cover: memories, which are not asked; contexts of the preset paper (sampling.count_following).
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from memo_dist.batches import read_batch
from memo_dist.models.cues import Cues, Encoder


def longest(cues: Cues) -> np.ndarray:
    """(n,) uint64: the hash of the longest filled window of each cue, 0 where none is."""
    depth = cues.filled.sum(axis=1)
    last = cues.values[np.arange(len(cues)), np.maximum(depth - 1, 0)]
    return np.where(depth > 0, last, np.uint64(0))


def count_following(batches: Iterable[pa.Table], encoder: Encoder, hashes: np.ndarray) -> dict[int, Counter[int]]:
    """How often each token follows each of (n,) window hashes in a corpus; V is "end of document"."""
    wanted = np.unique(hashes)
    found: dict[int, Counter[int]] = {int(name): Counter() for name in wanted}
    if not len(wanted):
        return found
    for batch in batches:
        segments = [segment for _, segment in read_batch(batch, encoder.config)]
        for cues, targets in encoder.targets(segments):
            place = np.minimum(np.searchsorted(wanted, cues.values), len(wanted) - 1)
            rows, rungs = np.nonzero((wanted[place] == cues.values) & cues.filled)
            for name, token in zip(cues.values[rows, rungs].tolist(), targets[rows].tolist(), strict=True):
                found[name][token] += 1
    return found


def share(following: Counter[int], token: int) -> float:
    """How often a token is right after a context; 0 after one that the corpus has not."""
    return following[token] / following.total() if following else 0.0


def best_share(following: Counter[int]) -> float:
    """How often the best answer is."""
    return max(following.values()) / following.total() if following else 0.0
