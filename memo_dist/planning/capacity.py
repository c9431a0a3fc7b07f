"""Capacity: the law that ties a memory's size to its recall, whatever the model.

Covers: predictions for a corpus and for a memory as it is. Does not cover: the laws (models/text/law.py,
models/text/capacity.py, models/paper/law.py), bytes and processes (memory_plan.py).
"""

from typing import Protocol

from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import Repetition, TextSize
from memo_dist.models.text.bit_planes import noise_factor


class Held(Protocol):
    """What a memory says of itself; a Manifest does."""

    @property
    def config(self) -> MemoryConfig: ...
    @property
    def tokens(self) -> int: ...
    @property
    def documents(self) -> int: ...
    @property
    def associations(self) -> int: ...
    @property
    def repetition(self) -> Repetition | None: ...
    @property
    def bits(self) -> int: ...


def predicted_recall(config: MemoryConfig, text: TextSize, associations: float, *, noise: float = 1.0) -> float:
    """The capacity law for a whole corpus: recall relative to its ceiling; for the paper's memory, of random tokens.

    Args:
        text: what was memorized.
        associations: held; distinct ones where the model tells them apart.
        noise: what few bits a cell add, bit_planes.noise_factor.
    """
    return model_of(config).predicted_recall(config, text, associations, noise=noise)


def recall_of(memory: Held) -> float:
    """The capacity law for a memory as it is; its text as its first build found it."""
    text = TextSize(memory.tokens, memory.documents, memory.repetition)
    noise = noise_factor(memory.bits) if memory.bits else 1.0
    return predicted_recall(memory.config, text, memory.associations, noise=noise)
