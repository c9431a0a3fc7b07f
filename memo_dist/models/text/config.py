"""TextConfig: the numbers that define a memory of the model text (design-2 sections 2 and 3).

Covers: the shape of its banks, the types of its cells, the windows of its keys. Does not cover: what every model's
config has (memory_config.py).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MAX_CONTEXT, MemoryConfig
from memo_dist.models.text.keys import ANCHOR_UNITS, MAX_RUNGS, REACH

MAX_TEXT_DIM = 4096
KEYS = ("text", "tokens")
DEFAULT_WINDOWS = (4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class TextConfig(MemoryConfig):
    """A memory for real text: hashed keys, masked values, distinct associations, `num_banks` matrices of d x d cells.

    d is a multiple of 64, because codes are drawn 64 signs at a time. Cells are int16, whose sums are exact.

    Attributes:
        windows: the rungs: how many units of text before a place each key knows, rising.
        keys: what a unit is: "text" (words and other characters, see units.py) or "tokens" (every token). A memory
            without a tokenizer has no text: there every token is a unit, whatever this says.

    Raises:
        ConfigError: a value is out of range.
    """

    preset: ClassVar[str] = "text"
    cell_type: ClassVar[str] = "<i2"
    vector_type: ClassVar[str] = "<i4"

    windows: tuple[int, ...] = DEFAULT_WINDOWS
    keys: str = "text"

    def _check(self) -> None:
        if self.inner_dim % 64 or self.inner_dim > MAX_TEXT_DIM:
            raise ConfigError(
                f"inner_dim is {self.inner_dim}; expected a multiple of 64 up to {MAX_TEXT_DIM}, such as 256"
            )
        if self.keys not in KEYS:
            raise ConfigError(f"keys is {self.keys!r}; expected one of {', '.join(KEYS)}")
        known = self.windows
        whole = isinstance(known, tuple) and all(isinstance(w, int) and not isinstance(w, bool) for w in known)
        if not whole or not 1 <= len(known) <= MAX_RUNGS or not 1 <= known[0] <= known[-1] <= MAX_CONTEXT:
            raise ConfigError(
                f"windows is {known!r}; expected 1 to {MAX_RUNGS} whole numbers of units from 1 to {MAX_CONTEXT}, such "
                "as 4,8,16,32,64"
            )
        if any(longer <= shorter for shorter, longer in pairwise(known)):
            raise ConfigError(f"windows is {known!r}; each must be longer than the one before")

    @property
    def anchor_rung(self) -> int:
        """The rung whose windows may name documents: the first of 16 units or more, else the last."""
        return next((rung for rung, window in enumerate(self.windows) if window >= ANCHOR_UNITS), self.num_layers - 1)

    @property
    def reads_text(self) -> bool:
        """See MemoryConfig."""
        return self.keys == "text"

    @property
    def context_length(self) -> int:
        """Tokens before a place that say all its keys know: each is a step of text at least."""
        return REACH if self.keys == "text" else self.windows[-1]

    @property
    def bank_shape(self) -> tuple[int, int]:
        """(d, d)."""
        return self.inner_dim, self.inner_dim
