"""RecallOptions: how a prompt is continued; the one set of settings, with the only defaults.

Covers: settings, their ranges. Does not cover: the prompts (session.py), the reader that is asked (lookup.py).
"""

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from memo_dist.errors import ConfigError

READS = ("auto", "exact", "matrices")


@dataclass(frozen=True, kw_only=True)
class RecallOptions:
    """Settings of recall, for the command line, Python, jobs and the service.

    Attributes:
        max_tokens: the longest continuation, in tokens; 0 asks the memory nothing.
        min_confidence: in [0, 1]; where no token that is at least this sure follows, recall abstains.
        beam: rival continuations that are followed at a time; 1 is greedy.
        from_start: the prompts are beginnings of documents; then any length will do, even none.
        top_k: alternatives of each step to report.
        count: different continuations of each prompt, at most.
        read: "exact" (by the ledger), "matrices", or "auto": exact where the memory keeps a ledger.
        exact_prompt: prompts are asked as they are; else one that is not held is read as the memory has it, if it has
            something like it, and the answer says so.

    Raises:
        ConfigError: a setting is out of range; it is named.
    """

    max_tokens: int = 50
    min_confidence: float = 0.99
    beam: int = 8
    from_start: bool = False
    top_k: int = 0
    count: int = 1
    read: str = "auto"
    exact_prompt: bool = False

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 0), ("beam", 1), ("top_k", 0), ("count", 1)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ConfigError(f"{name} is {value!r}; expected a whole number: give {least} or more")
            object.__setattr__(self, name, int(value))  # NumPy's numbers become Python's
        sure: Any = self.min_confidence
        if not isinstance(sure, int | float | np.integer | np.floating) or not 0 <= sure <= 1:
            raise ConfigError(f"min_confidence is {sure!r}; expected a probability: give a number from 0 to 1")
        object.__setattr__(self, "min_confidence", float(sure))
        if self.read not in READS:
            raise ConfigError(f"read is {self.read!r}; expected one of {', '.join(READS)}")
        for name in ("from_start", "exact_prompt"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected a truth value: give True or False")


class RecallSettings(TypedDict, total=False):
    """The settings of RecallOptions, where a function takes them by name."""

    max_tokens: int
    min_confidence: float
    beam: int
    from_start: bool
    top_k: int
    count: int
    read: str
    exact_prompt: bool


DEFAULTS = RecallOptions()


def with_flags(message: str) -> str:
    """A sentence with its settings named as the command line's flags."""
    flags = {"from_start": "--from-start", "read": "--read", "min_confidence": "--min-confidence"}
    for name, flag in {**flags, "exact_prompt": "no --exact-prompt"}.items():
        message = message.replace(f"({name})", f"({flag})")
    return message
