"""What a change did.

Covers: the numbers that a command shows. Does not cover: the change (change.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cluster.change_selection import Choices
from cluster.clock import Clock
from memo_dist.document_identities import repeated_ids
from memo_dist.files.manifest import Manifest
from memo_dist.models.repetition import Answered
from memo_dist.planning.capacity import lengths_of


@dataclass(frozen=True, kw_only=True)
class ChangeSummary:
    """What a change did.

    Attributes:
        changed: documents taken in or out.
        added, forgotten: documents taken in, and out. replaced: ids of which one was taken in and one out.
        unchanged: documents that were left: held already (add), or not held with this text (forget).
        other_text: those of them whose id is held with another text.
        repeated_ids: ids that more than one document of the memory has now.
        tokens, documents, associations: that the memory holds now.
        banks_before, banks: of the memory; more where its text needs them now.
        segments: of the memory now: changes that are kept beside its files.
        answered: what the capacity law says of each length of prompt now.
        rejects: the file that names rows and files of the inputs which were left out; None if none were.
    """

    memory: str
    digest: str
    changed: int
    added: int
    forgotten: int
    replaced: int
    unchanged: int
    other_text: int
    repeated_ids: int
    tokens: int
    documents: int
    associations: int
    banks_before: int
    banks: int
    answered: list[Answered]
    segments: int
    checkpoints: int
    seconds: dict[str, float]
    rejects: str | None = None


def summary_of(
    memory: Path,
    manifest: Manifest,
    choices: Choices,
    *,
    base: Manifest,
    held: np.ndarray,
    checkpoints: int,
    clock: Clock,
) -> ChangeSummary:
    """Of a change that is done: `manifest` and `held` are those of the memory now."""
    added, removed = choices.added, choices.removed
    return ChangeSummary(
        memory=str(memory),
        digest=manifest.digest,
        changed=choices.count,
        added=len(added.identities),
        forgotten=len(removed.identities),
        replaced=len(np.intersect1d(added.identities["key"], removed.identities["key"])),
        unchanged=added.left + removed.left,
        other_text=added.other_text + removed.other_text,
        repeated_ids=repeated_ids(held),
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        banks_before=base.config.num_banks,
        banks=manifest.config.num_banks,
        answered=lengths_of(manifest),
        segments=len(manifest.segments),
        checkpoints=checkpoints,
        seconds=clock.rounded(),
    )
