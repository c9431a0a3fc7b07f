"""Capacity: the law that ties a memory's size to its recall, whatever the model.

Covers: predictions for a corpus and for a memory as it is. Does not cover: the laws (models/text/law.py,
models/text/capacity.py, models/paper/law.py), bytes and processes (memory_plan.py).
"""

from typing import Protocol

from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import Answered, Repetition, TextSize
from memo_dist.models.text.bit_planes import noise_factor

ENOUGH = 0.9  # of next tokens, below which a memory's matrices are told to be overloaded


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


def answered_lengths(
    config: MemoryConfig, text: TextSize, associations: float, *, noise: float = 1.0
) -> list[Answered]:
    """The law for each length of prompt: how often the next token is right, read exactly and read from the matrices."""
    return model_of(config).answered_lengths(config, text, associations, noise=noise)


def recall_of(memory: Held) -> float:
    """The capacity law for a memory as it is; its text as its first build found it."""
    return predicted_recall(memory.config, _text_of(memory), memory.associations, noise=_noise_of(memory))


def recall_at(memory: Held, share: float) -> float:
    """The capacity law for a memory if it held `share` times its text, of the same kind."""
    tokens, documents = max(1, round(memory.tokens * share)), max(1, round(memory.documents * share))
    text, grown = TextSize(tokens, documents, memory.repetition), share
    if memory.repetition is not None:
        grown = memory.repetition.associations(tokens) / memory.repetition.associations(memory.tokens)
    return predicted_recall(memory.config, text, memory.associations * grown, noise=_noise_of(memory))


def lengths_of(memory: Held) -> list[Answered]:
    """`answered_lengths` for a memory as it is."""
    return answered_lengths(memory.config, _text_of(memory), memory.associations, noise=_noise_of(memory))


def lengths_told(lengths: list[Answered], exactly: bool = True) -> str:
    """In words; `exactly`: whether there is a ledger to be read."""
    windows = " / ".join(str(one.window) for one in lengths)
    ways = {"exactly": [one.exact for one in lengths]} if exactly else {}
    ways["from its matrices"] = [one.matrices for one in lengths]
    shares = (f"{' / '.join(_share(share) for share in several)} {way}" for way, several in ways.items())
    return f"the next token after {windows} units is right in {', '.join(shares)}"


def overload_told(memory: Held) -> str | None:
    """A warning where a memory's matrices hold more than they recall; None where they recall enough, by the law."""
    recall = recall_of(memory)
    if recall >= ENOUGH:
        return None
    load = memory.associations / memory.config.num_parameters
    has_ledger = model_of(memory.config).has_ledger and not memory.bits
    exactly = "; its ledger answers exactly all the same" if has_ledger else ""
    return (
        f"the memory holds more than its matrices recall: {load:.2f} associations a parameter, which lets them recall "
        f"{recall:.2f} of next tokens{exactly}. More banks mend it"
    )


def _share(share: float) -> str:
    """Two digits, or as many as tell it from all: .61, .997, 1."""
    digits = 2 if share < 0.99 else 3 if share < 0.999 else 4
    return f"{min(share, 0.9999):.{digits}f}"[1:] if share < 1 else "1"


def _text_of(memory: Held) -> TextSize:
    return TextSize(memory.tokens, memory.documents, memory.repetition)


def _noise_of(memory: Held) -> float:
    return noise_factor(memory.bits) if memory.bits else 1.0
