"""MemoryConfig: the numbers that define a memory, frozen and validated.

Covers: shape and seed of a memory, derived windows, equality between memories. Does not cover: how many banks a
corpus needs (planning.py) or where shards live (cluster).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from memo_dist.errors import ConfigError

_RANGES = {
    "inner_dim": (64, 4096),
    "num_heads": (2, 16),
    "num_layers": (1, 6),
    "num_banks": (1, 2**31),
    "vocab_size": (1, 2**31),
    "seed": (0, 2**63),
}
MAX_CONTEXT = 4096


@dataclass(frozen=True)
class MemoryConfig:
    """The definition of a memory; two memories with equal configs and tokenizers can be merged.

    Attributes:
        num_banks: G, how many d x d matrices the memory has.
        vocab_size: V, the number of token ids; the id V itself means "end of document".
        inner_dim: d, rows and columns of a bank; a multiple of 64, because codes are drawn 64 signs at a time.
        num_heads: h, children of a window; layer l (0-based) sees the last h**(l+1) tokens.
        num_layers: L.
        seed: names the family of codes. Memories with different seeds cannot be merged.

    Raises:
        ConfigError: a value is out of range.
    """

    num_banks: int
    vocab_size: int
    inner_dim: int = 256
    num_heads: int = 4
    num_layers: int = 3
    seed: int = 0
    preset: str = "text"

    def __post_init__(self) -> None:
        if self.preset != "text":
            raise ConfigError(f"preset is {self.preset!r}; this version builds 'text'")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(f"{name} is {value!r}; expected a whole number from {low} to {high}")
        if self.inner_dim % 64:
            raise ConfigError(f"inner_dim is {self.inner_dim}; expected a multiple of 64, such as 256")
        if self.context_length > MAX_CONTEXT:
            raise ConfigError(
                f"num_heads={self.num_heads} and num_layers={self.num_layers} give a context of "
                f"{self.context_length} tokens; at most {MAX_CONTEXT}: take fewer heads or layers"
            )

    @classmethod
    def text(cls, num_banks: int, vocab_size: int, **changes: Any) -> "MemoryConfig":
        """The preset for real text (design section 2.2): hash codes, masked values, distinct associations, banks."""
        return cls(num_banks=num_banks, vocab_size=vocab_size, **changes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "MemoryConfig":
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(f"unknown settings {sorted(unknown)}; a newer memo-dist may have written them")
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"incomplete settings: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

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
        """Bytes of one bank of int16 cells."""
        return 2 * self.inner_dim**2

    @property
    def num_parameters(self) -> int:
        """Cells of the whole memory, G d^2."""
        return self.num_banks * self.inner_dim**2

    @property
    def fingerprint(self) -> str:
        """A hash of every setting, part of a memory's digest."""
        return hashlib.blake2b(json.dumps(self.to_dict(), sort_keys=True).encode(), digest_size=16).hexdigest()
