"""PaperConfig: the numbers that define a memory of the model paper (design section 2.1).

Covers: the shape of its one matrix. Does not cover: what every model's config has (config.py).
"""

from dataclasses import dataclass
from typing import ClassVar

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MAX_CONTEXT, MemoryConfig, require_whole

COMPOSITIONS = ("jlt", "product", "direct")


@dataclass(frozen=True, kw_only=True)
class PaperConfig(MemoryConfig):
    """The published memory: Gaussian codes and one matrix of key_dim x d float32 cells, one block of rows a head.

    `PaperConfig.of` fills in what follows from the rest: a bank is a head's block, so num_banks is num_heads.

    Attributes:
        num_heads: h, children of a window; layer l (0-based) sees the last h**(l+1) tokens.
        num_layers: L.
        composition: how a window's encoding is made of its children, "jlt" or "product"; "direct", for one layer, draws
            each token's part of a key by itself instead of projecting its vector.
        key_dim: rows of the matrix, h d_k.

    Raises:
        ConfigError: a value is out of range.
    """

    preset: ClassVar[str] = "paper"
    cell_type: ClassVar[str] = "<f4"
    vector_type: ClassVar[str] = "<f4"

    composition: str
    key_dim: int
    num_heads: int = 4
    num_layers: int = 3

    @classmethod
    def of(
        cls,
        vocab_size: int,
        inner_dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 3,
        composition: str = "jlt",
        key_dim: int | None = None,
        seed: int = 0,
    ) -> "PaperConfig":
        """The memory of a key_dim x d matrix; key_dim is d unless given."""
        return cls(
            num_banks=num_heads,
            vocab_size=vocab_size,
            inner_dim=inner_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            seed=seed,
            composition=composition,
            key_dim=inner_dim if key_dim is None else key_dim,
        )

    def _check(self) -> None:
        require_whole("num_heads", self.num_heads, 2, high=64)
        require_whole("num_layers", self.num_layers, 1, high=6)
        if self.context_length > MAX_CONTEXT:
            raise ConfigError(
                f"num_heads={self.num_heads} and num_layers={self.num_layers} give a context of "
                f"{self.context_length} tokens; at most {MAX_CONTEXT}: take fewer heads or layers"
            )
        if self.composition not in COMPOSITIONS:
            raise ConfigError(f"composition is {self.composition!r}; expected one of {', '.join(COMPOSITIONS)}")
        if self.composition == "direct" and self.num_layers > 1:
            raise ConfigError(f"composition 'direct' has one layer, not {self.num_layers}; take jlt or product")
        if not isinstance(self.key_dim, int) or not self.num_heads <= self.key_dim or self.key_dim % self.num_heads:
            raise ConfigError(f"key_dim is {self.key_dim!r}; expected a multiple of num_heads={self.num_heads}")
        if self.num_banks != self.num_heads:
            raise ConfigError(
                f"num_banks is {self.num_banks}; a memory of the preset 'paper' has one block of rows a head, "
                f"{self.num_heads}"
            )

    @property
    def windows(self) -> tuple[int, ...]:
        """Tokens of each layer's window: (h, h**2, ..., h**L)."""
        return tuple(self.num_heads ** (layer + 1) for layer in range(self.num_layers))

    @property
    def context_length(self) -> int:
        """The longest window, h**L tokens."""
        return int(self.num_heads**self.num_layers)

    @property
    def bank_shape(self) -> tuple[int, int]:
        """(key_dim / h, d)."""
        return self.key_dim // self.num_heads, self.inner_dim
