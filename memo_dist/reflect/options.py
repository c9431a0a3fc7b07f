"""ReflectOptions: how documents are reflected on, and where the files of the steps lie."""

from dataclasses import dataclass
from pathlib import Path

from memo_dist.errors import ConfigError

STEPS = ("direct_facts", "indirect_facts", "consolidation", "verification", "entity_surfacing", "cross_document")


@dataclass(frozen=True, kw_only=True)
class ReflectOptions:
    """How documents are reflected on.

    Attributes:
        words, overlap: of a chunk. epochs: how often each chunk is asked for its facts.
        skip: steps that are left out, of STEPS.
    """

    words: int = 4000
    overlap: int = 400
    epochs: int = 1
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.words:
            raise ConfigError(f"the overlap is {self.overlap} words; expected 0 or more, and less than {self.words}")
        unknown = sorted(set(self.skip) - set(STEPS))
        if unknown:
            raise ConfigError(f"there is no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}")


def steps_folder(out: Path) -> Path:
    """Where the files of the steps lie."""
    return out.with_name(f"{out.name}.steps")
