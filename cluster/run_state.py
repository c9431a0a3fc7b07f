"""RunState: how far a run is, and whether it goes on after a loss.

Covers: counters, attempts, when a checkpoint is due. Knows nothing of Ray. Does not cover: giving up (losses.py), who
does the work (sorted_run.py, stream_run.py), what a checkpoint holds on disk (workspace.py).

A run has attempts. Each begins with what the shards are filled from (`Held`): nothing, the memory that is changed, or
the last checkpoint. A lost process or node ends an attempt; three attempts without a checkpoint between them end the
run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cluster.losses import Losses
from memo_dist.files.journal import TextEntry
from memo_dist.files.manifest import Manifest


class Counts(Protocol):
    """What one shard says of a split (memo_dist.shard.Applied)."""

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
        splits_done: splits of this run that are in it.
        skipped, replaced, empty: documents of those splits.
    """

    tokens: int = 0
    documents: int = 0
    splits_done: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0

    @classmethod
    def of(cls, manifest: Manifest) -> "Held":
        """Of a checkpoint: its last entry is that of the run which wrote it."""
        entry = manifest.sources[-1]
        assert isinstance(entry, TextEntry)  # runs write no other
        return cls(
            tokens=manifest.tokens,
            documents=manifest.documents,
            splits_done=entry.splits_done,
            skipped=entry.skipped,
            replaced=entry.replaced,
            empty=entry.empty,
        )


@dataclass(kw_only=True)
class Progress:
    """How far a run is; handed to the caller after every split and file.

    Attributes:
        splits_before: were done by earlier attempts.
        files, files_done: shard files that are merged once all splits are done; 0 before.
    """

    splits: int
    splits_before: int = 0
    splits_done: int = 0
    tokens: int = 0
    documents: int = 0
    skipped: int = 0
    replaced: int = 0
    empty: int = 0
    files: int = 0
    files_done: int = 0


class RunState:
    """The counters of all attempts of one run.

    Args:
        splits: of the whole run.
        forgets: whether splits are taken out of the memory, so that its tokens and documents become fewer.
        checkpoint_every: seconds of work that may be lost.
        now: a clock in seconds.

    Attributes:
        progress: of all attempts together.
        splits_before: splits that were done before the first attempt of this process.
        attempts, checkpoints: of this process.
    """

    def __init__(
        self, splits: int, *, forgets: bool, checkpoint_every: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress = Progress(splits=splits)
        self.splits_before = self.attempts = self.checkpoints = 0
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
            self.splits_before = held.splits_done
        self.progress = Progress(
            splits=self.progress.splits,
            splits_before=held.splits_done,
            splits_done=held.splits_done,
            tokens=held.tokens,
            documents=held.documents,
            skipped=held.skipped,
            replaced=held.replaced,
            empty=held.empty,
        )

    def shards_are_up(self) -> None:
        """Work begins now: the time until the next checkpoint counts from here."""
        self._due = self._now() + self._every

    def count(self, answers: list[Counts], *, sign: int | None = None) -> None:
        """Count a split that all shards answered.

        Args:
            answers: one for each shard. A shard counts the tokens and documents whose records it keeps, so these are
                added up; every shard counts all skipped, replaced and empty documents, so one shard's count is taken.
            sign: 1: taken in, -1: taken out; None: as all splits of the run are.
        """
        first, progress = answers[0], self.progress
        sign = self._sign if sign is None else sign
        progress.splits_done += 1
        progress.tokens += sign * sum(answer.tokens for answer in answers)
        progress.documents += sign * sum(answer.documents for answer in answers)
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
