"""Tables in a store: a solved memory's rows, walked by array arithmetic; the blocks that are asked for are fetched.

Covers: the walk of device_tables.py over words that are not here yet. Does not cover: fetching and checking blocks
(remote/blocks.py), tables that are mapped (walk.py).

All rows that a rung needs are fetched together, before the first is read.
"""

from collections.abc import Sequence

import numpy as np

from memo_dist.remote.blocks import Blocks
from memo_dist.remote.heads import BLOCK_BYTES
from memo_dist.solved.device_tables import WORD_COLUMNS, DeviceTables
from memo_dist.solved.walk import Pieces


class FetchedTables(DeviceTables):
    """All tables of one kind of a memory in a store. Safe to share between threads.

    Args:
        pieces: which there are.
        blocks: of the files; piece i lies in file pieces.files[i].
    """

    def __init__(self, pieces: Pieces, blocks: Blocks) -> None:
        places = pieces.places.copy()
        places[:, WORD_COLUMNS] += (blocks.starts * (BLOCK_BYTES // 8))[pieces.files][:, None]
        self._xp, self._pieces, self._places, self._blocks = np, pieces, places, blocks
        self._words = _Words(blocks)

    def read(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Tables.read."""
        held, several, numbers = self._read(hashes, 0)
        return np.where(held, numbers, -1), several

    def _foresee(self, words: Sequence[np.ndarray]) -> None:
        self._blocks.foresee(words)


class _Words:
    """The words of all files, fetched as they are asked."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    def __getitem__(self, at: np.ndarray) -> np.ndarray:
        return self._blocks.words(at)
