"""RunState: how far a run is, and whether it goes on after a loss.

Covers: counters, attempts, when a checkpoint is due. Knows nothing of Ray. Does not cover: giving up (losses.py), who
does the work (run.py), what a checkpoint holds on disk (workspace.py).

A run has attempts. Each begins with what the shards are filled from (`Held`): nothing, the memory that is changed, or
the last checkpoint. A lost process or node ends an attempt; three attempts without a checkpoint between them end the
run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cluster.losses import Losses


class Counts(Protocol):
    """What one shard says of a unit (memo_dist.shard.Applied)."""

    @property
    def tokens(self) -> int: ...
    @property
    def documents(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def replaced(self) -> int: ...
    @property
    def empty(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Held:
    """What shards hold when an attempt begins.

    Attributes:
        tokens, documents: of the memory.
        units_done: units of this run that are in it.
        skipped, replaced, empty: documents of those units.
    """

    tokens: int = 0
    documents: int = 0
    units_done: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0


@dataclass(kw_only=True)
class Progress:
    """How far a run is; handed to the caller after every unit. `units_before` were done by earlier attempts."""

    units: int
    units_before: int = 0
    units_done: int = 0
    tokens: int = 0
    documents: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0


class RunState:
    """The counters of all attempts of one run.

    Args:
        units: of the whole run.
        forgets: whether units are taken out of the memory, so that its tokens and documents become fewer.
        checkpoint_every: seconds of work that may be lost.
        now: a clock in seconds.

    Attributes:
        progress: of all attempts together.
        units_before: units that were done before the first attempt of this process.
        attempts, checkpoints: of this process.
    """

    def __init__(
        self, units: int, *, forgets: bool, checkpoint_every: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress = Progress(units=units)
        self.units_before = self.attempts = self.checkpoints = 0
        self._losses = Losses()
        self._sign = -1 if forgets else 1
        self._every, self._now = checkpoint_every, now
        self._due = now() + checkpoint_every
        self._checkpoints_before = 0

    def begin(self, held: Held) -> None:
        """Begin an attempt with what its shards hold."""
        self.attempts += 1
        self._checkpoints_before = self.checkpoints
        if self.attempts == 1:
            self.units_before = held.units_done
        self.progress = Progress(
            units=self.progress.units,
            units_before=held.units_done,
            units_done=held.units_done,
            tokens=held.tokens,
            documents=held.documents,
            skipped=held.skipped,
            replaced=held.replaced,
            empty=held.empty,
        )

    def shards_are_up(self) -> None:
        """Work begins now: the time until the next checkpoint counts from here."""
        self._due = self._now() + self._every

    def count(self, answers: list[Counts]) -> None:
        """Count a unit that all shards answered.

        Args:
            answers: one for each shard. A shard counts the tokens and documents whose records it keeps, so these are
                added up; every shard counts all skipped, replaced and empty documents, so one shard's count is taken.
        """
        first, progress = answers[0], self.progress
        progress.units_done += 1
        progress.tokens += self._sign * sum(answer.tokens for answer in answers)
        progress.documents += self._sign * sum(answer.documents for answer in answers)
        progress.skipped += first.skipped
        progress.replaced += first.replaced
        progress.empty += first.empty

    @property
    def checkpoint_is_due(self) -> bool:
        """Whether as much work would be lost as may be."""
        return self._now() >= self._due

    def checkpointed(self) -> None:
        """Everything counted so far is in a checkpoint."""
        self.checkpoints += 1
        self._due = self._now() + self._every

    def goes_on_after_loss(self, *, no_room: bool) -> bool:
        """Count a lost process or node; whether another attempt is worth while.

        Args:
            no_room: the cluster could not start the shards. If nothing was lost before, it was so from the start, and
                waiting does not help.
        """
        if no_room and not self.losses:
            return False
        return self._losses.add(progressed=self.checkpoints > self._checkpoints_before)

    @property
    def losses(self) -> int:
        """Processes or nodes lost so far."""
        return self._losses.count
