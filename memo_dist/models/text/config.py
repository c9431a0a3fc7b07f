"""TextConfig: the numbers that define a memory of the model text (design section 2.2).

Covers: the shape of its banks and the types of its cells. Does not cover: what every model's config has (config.py).
"""

from dataclasses import dataclass
from typing import ClassVar

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig

MAX_TEXT_DIM = 4096


@dataclass(frozen=True, kw_only=True)
class TextConfig(MemoryConfig):
    """A memory for real text: hash codes, masked values, distinct associations, `num_banks` matrices of d x d cells.

    d is a multiple of 64, because codes are drawn 64 signs at a time. Cells are int16, whose sums are exact.

    Raises:
        ConfigError: a value is out of range.
    """

    preset: ClassVar[str] = "text"
    cell_type: ClassVar[str] = "<i2"
    vector_type: ClassVar[str] = "<i4"

    def _check(self) -> None:
        if self.inner_dim % 64 or self.inner_dim > MAX_TEXT_DIM:
            raise ConfigError(
                f"inner_dim is {self.inner_dim}; expected a multiple of 64 up to {MAX_TEXT_DIM}, such as 256"
            )

    @property
    def bank_shape(self) -> tuple[int, int]:
        """(d, d)."""
        return self.inner_dim, self.inner_dim
