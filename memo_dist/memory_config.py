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
    "num_heads": (2, 64),
    "num_layers": (1, 6),
    "num_banks": (1, MAX_BANKS),
    "vocab_size": (1, 2**31),
    "seed": (0, 2**63),
}


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(ABC):
    """The definition of a memory; two memories with equal configs and tokenizers can be merged.

    Attributes:
        num_banks: G, the pieces that the memory's cells are cut into; a shard owns a range of them.
        vocab_size: V, the number of token ids; the id V itself means "end of document".
        inner_dim: d, columns of a bank.
        num_heads: h, children of a window; layer l (0-based) sees the last h**(l+1) tokens.
        num_layers: L.
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
    num_heads: int = 4
    num_layers: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(f"{name} is {value!r}; expected a whole number from {low} to {high}")
        if self.context_length > MAX_CONTEXT:
            raise ConfigError(
                f"num_heads={self.num_heads} and num_layers={self.num_layers} give a context of "
                f"{self.context_length} tokens; at most {MAX_CONTEXT}: take fewer heads or layers"
            )
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
    def windows(self) -> tuple[int, ...]:
        """Window length of each layer in tokens: (h, h**2, ..., h**L)."""
        return tuple(self.num_heads ** (layer + 1) for layer in range(self.num_layers))

    @property
    def context_length(self) -> int:
        """The longest window, h**L tokens."""
        return int(self.num_heads**self.num_layers)

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
