"""Lookup: a memory together with its cleanup: cues -> the best next tokens.

Covers: one step, whoever answers the reads. Does not cover: continuation (paths.py), prompts (session.py).
"""

from memo_dist.config import MemoryConfig
from memo_dist.errors import ConfigError
from memo_dist.models import cleanup_for, model_of
from memo_dist.models.candidates import Candidates, Cleanup
from memo_dist.models.cues import Cues, Encoder, Reader
from memo_dist.models.text.cleanup import HashedCleanup


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
    def evidence(self) -> HashedCleanup:
        """The cleanup, if it can tell the evidence for any given token.

        Raises:
            ConfigError: it cannot: the memory is of the preset paper.
        """
        if not (model_of(self.config).tells_length and isinstance(self.cleanup, HashedCleanup)):
            raise ConfigError(
                "scores of given tokens and traces need a memory of the preset 'text': the paper's scores do not tell "
                "how long a match is; build the memory with that preset"
            )
        return self.cleanup
