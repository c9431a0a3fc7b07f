"""Lookup: a memory together with its cleanup: cues -> the best next tokens.

Covers: one step, whoever answers the reads. Does not cover: continuation (paths.py), prompts (session.py).
"""

from typing import Protocol, cast

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import cleanup_for, model_of
from memo_dist.models.candidates import Candidates, Cleanup
from memo_dist.models.cues import Cues, Encoder, Reader


class TellingCleanup(Cleanup, Protocol):
    """A cleanup that tells the evidence for any given token, as every model of `tells_length` has it."""

    def score(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> Candidates:
        """Log-odds of the (n, k) tokens given."""
        ...

    def evidence(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """(n, k, L) log-likelihood ratios of each layer alone."""
        ...


class Lookup:
    """Asks one memory.

    Args:
        reader: the memory, wherever its banks are.
        cleanup: of the same config; None makes one.
    """

    def __init__(self, reader: Reader, cleanup: Cleanup | None = None) -> None:
        self.reader = reader
        self.cleanup = cleanup_for(reader.config) if cleanup is None else cleanup

    @property
    def config(self) -> MemoryConfig:
        return self.reader.config

    @property
    def encoder(self) -> Encoder:
        return self.cleanup.encoder

    def rank(self, cues: Cues, top_k: int = 1) -> Candidates:
        """The best `top_k` tokens of each cue."""
        return self.cleanup.rank(self.encoder.retrieve(self.reader, cues), cues.filled, top_k)

    @property
    def telling(self) -> TellingCleanup:
        """The cleanup, if it can tell the evidence for any given token.

        Raises:
            ConfigError: it cannot: the memory is of the preset paper.
        """
        if not model_of(self.config).tells_length:
            raise ConfigError(
                "scores of given tokens and traces need a memory of the preset 'text': the paper's scores do not tell "
                "how long a match is; build the memory with that preset"
            )
        return cast("TellingCleanup", self.cleanup)
