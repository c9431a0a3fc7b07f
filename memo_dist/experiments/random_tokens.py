"""Random tokens as Arrow batches: sequences with decoys, and single (window, next token) pairs.

Covers: the published experiments' data, named by a seed. Does not cover: memories.
"""

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.segments import NO_TOKENS, Segment

SEQUENCES, LENGTH = 30, 1024
DECOY_START, DECOY_LENGTH = 5, 4


def sequences_with_decoys(vocab_size: int, decoys: int, seed: int, *, iteration: int) -> np.ndarray:
    """(30, 1024) uniform random tokens; the 4 at position 5 copied to `decoys` random places of each sequence."""
    draws = np.random.default_rng([seed, iteration, decoys])
    tokens = draws.integers(0, vocab_size, (SEQUENCES, LENGTH), dtype=np.uint32)
    for sequence in tokens:
        pattern = sequence[DECOY_START : DECOY_START + DECOY_LENGTH].copy()
        for place in draws.integers(0, LENGTH - DECOY_LENGTH, decoys):
            sequence[place : place + DECOY_LENGTH] = pattern
    return tokens


def sequence_segments(tokens: np.ndarray, iteration: int) -> list[tuple[str, Segment]]:
    """One document a sequence, without "end of document", which the published runs do not memorize."""
    return [
        (f"batch {iteration} sequence {row}", Segment(0, NO_TOKENS, line, ends=False))
        for row, line in enumerate(tokens)
    ]


def pair_segments(windows: np.ndarray, following: np.ndarray, first: int) -> list[tuple[str, Segment]]:
    """(n, h) windows and (n,) next tokens: n documents of which one target each is memorized."""
    heads = windows.shape[1]
    return [
        (f"pair {first + row}", Segment(heads, window, following[row : row + 1], ends=False))
        for row, window in enumerate(windows)
    ]


def random_batch(segments: list[tuple[str, Segment]], name: str) -> pa.Table:
    """The segments as a batch of the Arrow contract."""
    return make_batch(segments, BatchInfo(name.encode().hex(), name, "", ""))
