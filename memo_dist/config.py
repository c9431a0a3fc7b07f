"""MemoryConfig: the numbers that define a memory, frozen and validated.

Covers: shape and seed of a memory, derived windows, equality between memories. Does not cover: how many banks a
corpus needs (planning/) or where shards live (cluster).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from memo_dist.errors import ConfigError

MAX_DIM = 1 << 15
MAX_BANKS = 2**31
_RANGES = {
    "inner_dim": (16, MAX_DIM),
    "num_heads": (2, 64),
    "num_layers": (1, 6),
    "num_banks": (1, MAX_BANKS),
    "vocab_size": (1, 2**31),
    "seed": (0, 2**63),
}
MAX_CONTEXT = 4096
MAX_TEXT_DIM = 4096
PRESETS = ("text", "paper")
COMPOSITIONS = ("jlt", "product", "direct")


@dataclass(frozen=True)
class MemoryConfig:
    """The definition of a memory; two memories with equal configs and tokenizers can be merged.

    Attributes:
        num_banks: G. Preset text: how many d x d matrices the memory has. Preset paper: h, the blocks of rows, one a
            head, of its only matrix.
        vocab_size: V, the number of token ids; the id V itself means "end of document".
        inner_dim: d, columns of a bank and, for text, its rows; there a multiple of 64, because codes are drawn 64
            signs at a time.
        num_heads: h, children of a window; layer l (0-based) sees the last h**(l+1) tokens.
        num_layers: L.
        seed: names the family of codes. Memories with different seeds cannot be merged.
        preset: "text" (hash codes, masked values, distinct associations) or "paper" (Gaussian codes, one matrix).
        composition: paper only: how a window's encoding is made of its children, "jlt" or "product"; "direct", for one
            layer, draws each token's part of a key by itself instead of projecting its vector.
        key_dim: paper only: rows of the matrix, h d_k.

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
    composition: str | None = None
    key_dim: int | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; expected one of {', '.join(PRESETS)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(f"{name} is {value!r}; expected a whole number from {low} to {high}")
        if self.context_length > MAX_CONTEXT:
            raise ConfigError(
                f"num_heads={self.num_heads} and num_layers={self.num_layers} give a context of "
                f"{self.context_length} tokens; at most {MAX_CONTEXT}: take fewer heads or layers"
            )
        if self.preset == "text":
            self._check_text()
        else:
            self._check_paper()

    def _check_text(self) -> None:
        if self.inner_dim % 64 or self.inner_dim > MAX_TEXT_DIM:
            raise ConfigError(
                f"inner_dim is {self.inner_dim}; expected a multiple of 64 up to {MAX_TEXT_DIM}, such as 256"
            )
        if self.composition is not None or self.key_dim is not None:
            raise ConfigError("composition and key_dim belong to the preset 'paper'")

    def _check_paper(self) -> None:
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

    @classmethod
    def text(cls, num_banks: int, vocab_size: int, **changes: Any) -> "MemoryConfig":
        """The preset for real text (design section 2.2): hash codes, masked values, distinct associations, banks."""
        return cls(num_banks=num_banks, vocab_size=vocab_size, **changes)

    @classmethod
    def paper(
        cls,
        vocab_size: int,
        inner_dim: int,
        num_heads: int = 4,
        num_layers: int = 3,
        composition: str = "jlt",
        key_dim: int | None = None,
        seed: int = 0,
    ) -> "MemoryConfig":
        """The paper's memory (design section 2.1): one key_dim x d matrix; key_dim is d unless given."""
        return cls(
            num_banks=num_heads,
            vocab_size=vocab_size,
            inner_dim=inner_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            seed=seed,
            preset="paper",
            composition=composition,
            key_dim=inner_dim if key_dim is None else key_dim,
        )

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
        """Every setting that the preset has."""
        return {name: value for name, value in asdict(self).items() if value is not None}

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
    def bank_shape(self) -> tuple[int, int]:
        """Cells of one bank: (d, d) for text, (key_dim / h, d) for paper."""
        rows = self.inner_dim if self.key_dim is None else self.key_dim // self.num_heads
        return rows, self.inner_dim

    @property
    def cell_type(self) -> str:
        """The NumPy type of a cell: int16 for text, whose sums are exact; float32 for paper."""
        return "<i2" if self.preset == "text" else "<f4"

    @property
    def vector_type(self) -> str:
        """The NumPy type of what is read from the memory."""
        return "<i4" if self.preset == "text" else "<f4"

    @property
    def bank_bytes(self) -> int:
        """Bytes of one bank."""
        rows, columns = self.bank_shape
        return rows * columns * int(self.cell_type[-1])

    @property
    def num_parameters(self) -> int:
        """Cells of the whole memory: G d^2 for text, key_dim d for paper."""
        return self.num_banks * self.bank_shape[0] * self.bank_shape[1]

    @property
    def fingerprint(self) -> str:
        """A hash of every setting, part of a memory's digest."""
        return hashlib.blake2b(json.dumps(self.to_dict(), sort_keys=True).encode(), digest_size=16).hexdigest()
