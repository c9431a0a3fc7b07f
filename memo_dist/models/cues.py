"""What the rest of memo-dist needs of an encoder, whatever the preset.

Covers: Cues, and the protocols of encoders and of what answers cues. Does not cover: any encoding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array
from memo_dist.memory_config import MemoryConfig
from memo_dist.segments import Segment


@dataclass(frozen=True)
class Cues:
    """What a memory is asked at n places.

    Attributes:
        values: preset text: (n, L) uint64 window hashes. Preset paper: (n, key_dim) float32, the layers' keys summed.
        filled: (n, L) bool; the windows that are full, and therefore asked: a prefix of each row.
    """

    values: Array
    filled: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: np.ndarray | slice) -> "Cues":
        return Cues(self.values[rows], self.filled[rows])


class Reader(Protocol):
    """A memory that can be read, wherever its banks are."""

    @property
    def config(self) -> MemoryConfig:
        """The memory's definition."""
        ...

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Preset text: (m,) uint64 window hashes -> (m, d) int32 vectors r = (key C[bank]) * mask.
        Preset paper: (m, key_dim) float32 keys -> (m, d) float32 vectors r = k C."""
        ...


class Encoder(Protocol):
    """Tokens -> cues."""

    @property
    def config(self) -> MemoryConfig:
        """The memory's definition."""
        ...

    def query(self, contexts: list[np.ndarray], at_start: bool | np.ndarray = False) -> Cues:
        """The cue after each context.

        Args:
            contexts: n token arrays of any length; the last h^L tokens count.
            at_start: the contexts begin where a document begins, so layer 0 may look at padding; for all, or (n,).
        """
        ...

    def targets(self, segments: list[Segment]) -> Iterator[tuple[Cues, Array]]:
        """(cues, next tokens) of every position of the segments, in order, chunk by chunk."""
        ...

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        """Ask a memory: (n, R, d) vectors, R = L for text (0 where a window is not full), 1 for paper."""
        ...


def filled_windows(known: np.ndarray, config: MemoryConfig, at_start: bool | np.ndarray) -> np.ndarray:
    """Which windows are full after (n,) `known` tokens, (n, L) bool; layer 0 also where the document begins there."""
    filled = known[:, None] >= np.asarray(config.windows)[None, :]
    filled[:, 0] |= np.asarray(at_start)
    return np.asarray(filled)
