"""Model: everything that the rest of memo-dist needs to know of one memory model, in one place.

Covers: the protocol, and what its methods take. Does not cover: any model (text/model.py, paper/model.py), which model
a memory has (models/__init__.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, TypeVar

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder
from memo_dist.models.repetition import Answered, TextSize
from memo_dist.tokenizer import Tokenizer

DEFAULT_BUFFER = 1 << 21

C = TypeVar("C", bound=MemoryConfig)


@dataclass(frozen=True, kw_only=True)
class ShardRoom:
    """What a shard may take; a model without a ledger uses `xp` alone.

    Attributes:
        buffer: how many associations to collect before they are merged into the ledger.
        expected: associations to size the ledger's parts by.
        xp: numpy or cupy.
        device_room: bytes of a GPU that banks may take; more of them stay in host memory. None: what is free, less room
            to work in.
    """

    buffer: int = DEFAULT_BUFFER
    expected: int = 0
    xp: ModuleType = np
    device_room: float | None = None


@dataclass(frozen=True, kw_only=True)
class AskedShape:
    """What a user asks of a new memory's shape. None: chosen by the capacity law or by the model."""

    num_banks: int | None = None
    inner_dim: int | None = None
    windows: tuple[int, ...] | None = None
    keys: str | None = None
    num_heads: int | None = None
    num_layers: int | None = None
    composition: str | None = None
    seed: int = 0


class Model(Protocol[C]):
    """One memory model.

    Attributes:
        name: what `config.preset` says.
        config_type: the class of its configs.
        has_ledger: what is held is counted association by association, so that memories can be merged by their ledgers
            and given another number of banks. Without, matrices are added cell by cell.
        publishes: cells can be published in a few bits.
        tells_length: scores tell how long a match is, as tracing and serving need.
        uses_repetition: the capacity law depends on how a text repeats itself.
        distinct: associations are counted once however often they occur.
    """

    name: str
    config_type: type[C]
    has_ledger: bool
    publishes: bool
    tells_length: bool
    uses_repetition: bool
    distinct: bool

    def encoder(self, config: C, tokenizer: Tokenizer | None) -> Encoder:
        """What makes cues of tokens; of text, where the memory has a tokenizer."""
        ...

    def contents(self, config: C, banks: range, room: ShardRoom, *, tokenizer: Tokenizer | None) -> Contents:
        """Empty contents for a range of banks."""
        ...

    def cleanup(self, config: C, encoder: Encoder, xp: ModuleType = np, *, prior: np.ndarray | None = None) -> Cleanup:
        """The cleanup for cues of an encoder; text: in `xp`; paper: where the encoder works, sharing its tables.

        Args:
            prior: what `Reader.token_counts` gives; None: all tokens are equally likely.
        """
        ...

    def portion(self, config: C, cues: np.ndarray, banks: range) -> tuple[np.ndarray, np.ndarray]:
        """What of some cues concerns `banks`: (rows, part).

        `rows` are the numbers of the cues that these banks answer, `part` is what they are asked. The answers of
        several shards, added row by row, are the memory's.
        """
        ...

    def read_cells(self, config: C, cues: np.ndarray, cells_of: Callable[[int], np.ndarray]) -> np.ndarray:
        """Answer cues one bank at a time, (m, d); `cells_of(bank)` gives its cells."""
        ...

    def file_attributes(self, config: C) -> dict[str, bytes]:
        """What a shard file says of itself beyond what every shard file says."""
        ...

    def shard_bytes(self, config: C) -> int:
        """Memory that a shard's codes and encoder take beside its banks and ledger."""
        ...

    def recall_bytes(self, config: C) -> int:
        """Memory that codes take in one process that memorizes and recalls."""
        ...

    def asked_config(self, vocab_size: int, asked: AskedShape) -> C:
        """The config asked for; what the capacity law is to choose is as small as it can be.

        Raises:
            ConfigError: a setting is out of range or belongs to another model.
        """
        ...

    def is_sized(self, asked: AskedShape) -> bool:
        """Whether the memory's size is asked for, so that the capacity law has nothing to choose."""
        ...

    def sized(self, config: C, target_recall: float, text: TextSize, *, associations: float | None = None) -> C:
        """The same config, as large as the capacity law says that a recall needs.

        Args:
            associations: distinct ones; None: as many as the text's repetition says.

        Raises:
            ConfigError: the target is out of range, or no memory is large enough.
        """
        ...

    def predicted_recall(self, config: C, text: TextSize, associations: float, *, noise: float = 1.0) -> float:
        """The capacity law for a whole corpus; `noise` is what few bits a cell add (text/bit_planes.py)."""
        ...

    def answered_lengths(self, config: C, text: TextSize, associations: float, *, noise: float = 1.0) -> list[Answered]:
        """The law for prompts that fill one window, two and so on; none where the law does not tell them apart."""
        ...

    def shape_told(self, config: C) -> str:
        """The shape in words, for a plan."""
        ...

    def recall_told(self, recall: float) -> str:
        """A predicted recall in words, for a plan."""
        ...
