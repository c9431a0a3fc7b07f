"""What the rest of memo-dist needs of an encoder, whatever the preset.

Covers: Cues, and the protocols of encoders and of what answers cues. Does not cover: any encoding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memo_dist.device.backend import Array
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.followers import Followers
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

    @property
    def encoder(self) -> "Encoder":
        """Tokens -> this memory's cues."""
        ...

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Preset text: (m,) uint64 window hashes -> (m, d) int32 vectors r = (key C[bank]) * mask.
        Preset paper: (m, key_dim) float32 keys -> (m, d) float32 vectors r = k C."""
        ...

    @property
    def has_ledger(self) -> bool:
        """Whether `followers` answers."""
        ...

    @property
    def is_solved(self) -> bool:
        """Whether its values are solved for, and it is walked (solved/walk.py)."""
        ...

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) uint64 window hashes, by the ledger.

        Raises:
            ConfigError: the memory keeps no ledger.
        """

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents, as low halves of their keys, that each of (m,) window hashes is an anchor of.

        Raises:
            ConfigError: the memory keeps no ledger.
        """
        ...

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the low halves of their keys; those that no document has are left out."""
        ...

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64: how many of the associations held have each token as their next, the prior of cleanup; None
        where they are not counted, and all tokens are equally likely."""
        ...


class Encoder(Protocol):
    """Tokens -> cues."""

    @property
    def config(self) -> MemoryConfig:
        """The memory's definition."""
        ...

    def length(self, tokens: np.ndarray) -> tuple[int, str]:
        """How long a line of token ids is, as windows count, and what they count: units or tokens."""
        ...

    def query(self, contexts: list[np.ndarray], at_start: bool | np.ndarray = False) -> Cues:
        """The cue after each context.

        Args:
            contexts: n token arrays of any length; the last `config.context_length` tokens count.
            at_start: the contexts begin where a document begins, so layer 0 may look at padding; for all, or (n,).
        """
        ...

    def targets(self, segments: list[Segment]) -> Iterator[tuple[Cues, Array]]:
        """(cues, next tokens) of every position of the segments, in order, chunk by chunk."""
        ...

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        """Ask a memory: (n, R, d) vectors, R = L for text (0 where a window is not full), 1 for paper."""
        ...
