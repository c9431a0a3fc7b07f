"""Task: what a run does with the documents of its splits, and what the journal says of it.

Covers: the fields, the entry. Does not cover: runs (sorted_run.py, stream_run.py).
"""

from dataclasses import dataclass
from pathlib import Path

from cluster.prepare import Prepared
from cluster.run_state import Progress
from memo_dist.errors import ConfigError
from memo_dist.files.journal import TEXT_ENTRIES, Entry, now
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run does with the documents of its splits.

    Attributes:
        action: for the journal: "build", "add", "forget", "sync" or "replace".
        base: the manifest of the memory that is changed; None for a new one.
        keeps_tokens: whether the memory keeps its token batches.
        beside: how many of its segments stay when the change is written beside its files; None: these are written anew.
        held: the change is so small that its runs are kept in memory.
    """

    action: str = "build"
    base: Manifest | None = None
    keeps_tokens: bool = False
    beside: int | None = None
    held: bool = False

    @property
    def forgets(self) -> bool:
        """Whether the documents are taken out, not in."""
        return self.action == "forget"

    def applied_before(self, memory: Path) -> set[str]:
        """Ids of the batches that the memory which is changed holds; none of a new one.

        Raises:
            ConfigError: it was changed meanwhile.
        """
        if self.base is None:
            return set()
        with open_memory(memory) as stored:
            if stored.manifest.to_json() != self.base.to_json():
                raise ConfigError(f"{memory} was changed by another command meanwhile; run this one again")
            return stored.require_working().applied()

    def journal(self, prepared: Prepared, files: int, progress: Progress) -> list[Entry]:
        """The memory's journal, with this run's entry as far as the run is."""
        entry = TEXT_ENTRIES[self.action](
            when=now(),
            inputs=prepared.statement.inputs,
            files=files,
            splits=progress.splits,
            splits_done=progress.splits_done,
            skipped=progress.skipped,
            replaced=progress.replaced,
            empty=progress.empty,
            repetition=prepared.repetition if self.base is None else None,
            target_recall=prepared.target_recall if self.base is None else None,
        )
        return [*(self.base.sources if self.base else []), entry]
