"""MemoryConfig: the numbers that define a memory, frozen and validated; what every model's config has.

Covers: size, windows and seed, equality between memories, the fingerprint. Does not cover: what one model adds
(models/text/config.py, models/paper/config.py), reading a config (models/__init__.py), how many banks a corpus needs
(planning), where shards live (cluster).
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from memo_dist.errors import ConfigError

MAX_DIM = 1 << 15
MAX_BANKS = 2**31
MAX_CONTEXT = 4096
_RANGES = {
    "inner_dim": (16, MAX_DIM),
    "num_banks": (1, MAX_BANKS),
    "vocab_size": (1, 2**31),
    "seed": (0, 2**63),
}


def require_whole(name: str, value: object, low: int, *, high: int) -> None:
    """Raise ConfigError if a setting is no whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}; expected a whole number from {low} to {high}")


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(ABC):
    """The definition of a memory; two memories with equal configs and tokenizers can be merged.

    Attributes:
        num_banks: G, the pieces that the memory's cells are cut into; a shard owns a range of them.
        vocab_size: V, the number of token ids; the id V itself means "end of document".
        inner_dim: d, columns of a bank.
        seed: names the family of codes. Memories with different seeds cannot be merged.
        preset: the name of the model, a key of `models.MODELS`.
        cell_type: the NumPy type of a cell. vector_type: of what is read from the memory.

    Raises:
        ConfigError: a value is out of range.
    """

    preset: ClassVar[str]
    cell_type: ClassVar[str]
    vector_type: ClassVar[str]

    num_banks: int
    vocab_size: int
    inner_dim: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            require_whole(name, getattr(self, name), low, high=high)
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Raise ConfigError if a value is outside what the model can have."""

    @property
    @abstractmethod
    def bank_shape(self) -> tuple[int, int]:
        """Rows and columns of one bank."""

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings that this model has and MemoryConfig has not."""
        common = {field.name for field in fields(MemoryConfig)}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in common}

    def to_dict(self) -> dict[str, Any]:
        """Every setting that the model has, and its name."""
        common = {field.name: getattr(self, field.name) for field in fields(MemoryConfig)}
        return {**common, "preset": self.preset, **self.own_settings}

    @property
    @abstractmethod
    def windows(self) -> tuple[int, ...]:
        """How far each layer's window reaches, rising: in units of text, or in tokens."""

    @property
    def anchor_rung(self) -> int:
        """The layer whose windows may name documents; the last, unless a model says another."""
        return self.num_layers - 1

    @property
    def reads_text(self) -> bool:
        """Whether keys are of text, whatever tokens it came in."""
        return False

    @property
    def num_layers(self) -> int:
        """L, the number of windows."""
        return len(self.windows)

    @property
    @abstractmethod
    def context_length(self) -> int:
        """How many tokens before a place say all that is asked there."""

    @property
    def end_of_document(self) -> int:
        """The token id that follows a document's last token."""
        return self.vocab_size

    @property
    def bank_bytes(self) -> int:
        """Bytes of one bank."""
        rows, columns = self.bank_shape
        return rows * columns * int(self.cell_type[-1])

    @property
    def num_parameters(self) -> int:
        """Cells of the whole memory."""
        return self.num_banks * self.bank_shape[0] * self.bank_shape[1]

    @property
    def fingerprint(self) -> str:
        """A hash of every setting, part of a memory's digest."""
        return hashlib.blake2b(json.dumps(self.to_dict(), sort_keys=True).encode(), digest_size=16).hexdigest()
