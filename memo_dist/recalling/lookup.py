"""Lookup: a memory together with its cleanup: cues -> the best next tokens.

Covers: one step, whoever answers the reads. Does not cover: continuation (paths.py), prompts (session.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol, cast, runtime_checkable

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import cleanup_for, model_of
from memo_dist.models.candidates import Candidates, Cleanup
from memo_dist.models.cues import Cues, Encoder, Reader
from memo_dist.models.text.followers import Followers
from memo_dist.solved.walk import Walked
from memo_dist.threads import in_threads

_NEAR = 12  # tokens: as many as decide nearly always
_AT_ONCE = 1 << 11  # contexts that one thread takes: fewer take less time than threads do
_NO_LENGTH = (
    "scores of given tokens and traces need a memory of the preset 'text': the paper's scores do not tell how long a "
    "match is; build the memory with that preset"
)


class TellingCleanup(Cleanup, Protocol):
    """A cleanup that tells the evidence for any given token, as every model of `tells_length` has it."""

    def score(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> Candidates:
        """Log-odds of the (n, k) tokens given."""
        ...

    def evidence(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """(n, k, L) log-likelihood ratios of each layer alone."""
        ...


class SolvedReader(Reader, Protocol):
    """A solved memory."""

    @property
    def check_bits(self) -> int:
        """Of a value."""
        ...

    def walk(self, cues: Cues) -> Walked:
        """What is told of each cue."""
        ...

    def anchors_at(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of a document at each anchor, -1 for none, and whether it is one of several."""
        ...


@runtime_checkable
class FarReader(Protocol):
    """A memory to which a question takes longer than its answer, so that it is asked at once for all that may count."""

    def longest_followers(self, cues: Cues) -> tuple[np.ndarray, Followers]:
        """Of each of n cues the rung of its longest window that is held, -1 where none is, and what follows it."""
        ...


class ExactEncoder(Encoder, Protocol):
    """An encoder whose cues the ledger of its model answers by themselves."""

    def unit_ends(self, tokens: np.ndarray) -> np.ndarray:
        """The places at which a unit ends."""
        ...

    def may_go_on(self, token: int) -> bool:
        """Whether a token may be the rest of a unit."""
        ...

    def units_begun(self, tokens: np.ndarray) -> np.ndarray:
        """How many units begin with each token."""
        ...

    def query_near(self, contexts: list[np.ndarray], near: int, at_start: bool | np.ndarray = False) -> Cues:
        """As query, of what the last `near` tokens tell: the same, but that fewer rungs are filled."""
        ...

    def with_windows(self, windows: tuple[int, ...]) -> "ExactEncoder":
        """The same keys over other windows."""
        ...

    def prefixes(self, tokens: np.ndarray, places: np.ndarray, at_start: bool = False) -> Cues:
        """The cues before some places of a line of tokens."""
        ...


@dataclass(frozen=True)
class ExactLookup:
    """A memory with a ledger, asked for what follows a window."""

    reader: Reader
    encoder: ExactEncoder

    @property
    def config(self) -> MemoryConfig:
        return self.reader.config


@dataclass(frozen=True)
class SolvedLookup(ExactLookup):
    """A solved memory, asked up its ladder."""

    reader: SolvedReader

    @property
    def check_bits(self) -> int:
        """Of a value."""
        return self.reader.check_bits

    def walk(self, cues: Sequence[Cues]) -> Walked:
        """From each of several cues, one behind the other."""
        values = np.concatenate([one.values for one in cues])
        return self.reader.walk(Cues(values, np.concatenate([one.filled for one in cues])))

    def walk_after(self, contexts: list[np.ndarray], at_start: bool = False) -> Walked:
        """From the end of each context; as from its cue, but that what is further away is read only where it counts."""
        if isinstance(self.reader, FarReader):
            return self.reader.walk(self.encoder.query(contexts, at_start))
        slices = [contexts[first : first + _AT_ONCE] for first in range(0, len(contexts), _AT_ONCE)]
        walk = partial(self._walk_after, at_start=at_start)
        return Walked.joined(in_threads(walk, slices) if len(slices) > 1 else [walk(contexts)])

    def _walk_after(self, contexts: list[np.ndarray], at_start: bool) -> Walked:
        walked = self.reader.walk(self.encoder.query_near(contexts, _NEAR, at_start))
        undecided = np.flatnonzero(~walked.decided)
        rows = [row for row in undecided.tolist() if len(contexts[row]) > _NEAR]
        if rows:
            walked.put(rows, self.reader.walk(self.encoder.query([contexts[row] for row in rows], at_start)))
        return walked


class Lookup:
    """Asks one memory.

    Args:
        reader: the memory, wherever its banks are.
        cleanup: gives that of the same config, whenever matrices are read; None: one is made when they first are, with
            what the memory holds then as its prior.
    """

    def __init__(self, reader: Reader, cleanup: Callable[[], Cleanup] | None = None) -> None:
        self.reader, self._given = reader, cleanup

    @property
    def cleanup(self) -> Cleanup:
        """Vectors -> tokens; a memory that is read exactly needs none."""
        return self._made if self._given is None else self._given()

    @cached_property
    def _made(self) -> Cleanup:
        return cleanup_for(self.config, self.encoder, prior=self.reader.token_counts())

    @property
    def config(self) -> MemoryConfig:
        return self.reader.config

    @property
    def encoder(self) -> Encoder:
        return self.reader.encoder

    def rank(self, cues: Cues, top_k: int = 1) -> Candidates:
        """The best `top_k` tokens of each cue, as ranked."""
        return self.cleanup.rank(self.encoder.retrieve(self.reader, cues), cues.filled, top_k)

    def several(self, cues: Cues, count: int) -> Candidates:
        """Up to `count` tokens that follow each cue, read one after the other; see Cleanup.several."""
        return self.cleanup.several(self.encoder.retrieve(self.reader, cues), cues.filled, count)

    @property
    def reading(self) -> ExactEncoder:
        """The encoder, of a model whose keys can be looked up one by one.

        Raises:
            ConfigError: the memory is of the preset paper.
        """
        if not model_of(self.config).tells_length:
            raise ConfigError(_NO_LENGTH)
        return cast("ExactEncoder", self.encoder)

    @property
    def exact(self) -> ExactLookup:
        """The same memory, asked for what its ledger says.

        Raises:
            ConfigError: it keeps none.
        """
        if not self.reader.has_ledger:
            raise ConfigError("this memory keeps no ledger to be read exactly; read it from its matrices (read)")
        return ExactLookup(self.reader, cast("ExactEncoder", self.encoder))

    @property
    def solved(self) -> SolvedLookup:
        """The same memory, if its values are solved for.

        Raises:
            ConfigError: they are not.
        """
        if not self.reader.is_solved:
            raise ConfigError("this memory is not published with its values solved for")
        return SolvedLookup(cast("SolvedReader", self.reader), cast("ExactEncoder", self.encoder))

    @property
    def telling(self) -> TellingCleanup:
        """The cleanup, if it can tell the evidence for any given token.

        Raises:
            ConfigError: it cannot: the memory is of the preset paper.
        """
        if not model_of(self.config).tells_length:
            raise ConfigError(_NO_LENGTH)
        if self.reader.is_solved:
            raise ConfigError(
                "scores of given tokens need matrices, and this memory is published with its values solved for: ask "
                "the memory that it was made from"
            )
        return cast("TellingCleanup", self.cleanup)
