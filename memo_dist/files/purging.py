"""Purging: making a forgetting final, and a certificate of it.

Covers: the generation before, which `undo` would go back to, and its files; what was in a memory and is no more. Does
not cover: forgetting (cluster/change.py), generations (generations.py), copies of a memory and what was published of
it, which are files of their own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from memo_dist.documents import listing
from memo_dist.errors import ConfigError
from memo_dist.files.generations import drop_previous, previous_manifest
from memo_dist.files.manifest import Manifest
from memo_dist.files.working import WorkingShards


class TakenOut(NamedTuple):
    """A document that a memory held: its id, its tokens, where it was read."""

    id: str
    tokens: int
    source: str
    position: int
    position_in: str


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a purge did.

    Attributes:
        memory: the directory. when: ISO 8601.
        digest_before, digest_after: of the memory; equal if it was forgotten before, and only made final now.
        documents: that the memory, or the generation before it, held, and that are in neither now.
        removed: names of the files that were removed.
        kept: what may still tell of them, in words.
    """

    memory: str
    when: str
    digest_before: str
    digest_after: str
    documents: list[TakenOut]
    removed: list[str]
    kept: list[str]


class Purge:
    """Make one before a memory forgets, and finish it after: the certificate compares the two.

    Args:
        memory: the directory.

    Raises:
        ConfigError: the memory is published. DamagedMemoryError: it is not whole.
    """

    def __init__(self, memory: Path) -> None:
        current, previous = Manifest.read(memory), previous_manifest(memory)
        if current.bits or current.solved is not None:
            raise ConfigError(f"{memory} is published for recall only: nothing of it can be forgotten, nor purged")
        self._memory, self._digest = memory, current.digest
        self._held = _held(memory, current)
        if previous is not None:
            self._held |= _held(memory, previous)
        self._files = set(_files(memory))

    def finish(self) -> Certificate:
        """Remove the generation before, and certify.

        Raises:
            ConfigError: the memory has segments. StorageError: the disk does not allow it.
        """
        manifest = Manifest.read(self._memory)
        if manifest.is_segmented:
            raise ConfigError(
                f"{self._memory} keeps changes beside its files, which still hold what was taken out: run memo-dist "
                f"compact {self._memory} before it is purged"
            )
        drop_previous(self._memory)
        gone = self._held - _held(self._memory, manifest)
        kept = ["copies of this directory, and memories that were published or merged from it, are not touched"]
        if manifest.tokenizer_hash:
            kept.append("tokenizer.json stays: one that was trained on these texts has words of them")
        kept.append("the journal names the inputs of the commands that memorized and forgot")
        return Certificate(
            memory=str(self._memory),
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            digest_before=self._digest,
            digest_after=manifest.digest,
            documents=sorted(gone.elements()),
            removed=sorted(self._files - set(_files(self._memory))),
            kept=kept,
        )


def _held(memory: Path, manifest: Manifest) -> Counter[TakenOut]:
    """The documents of one generation, as often as they are held."""
    rows = listing(WorkingShards(memory, manifest, 0).documents()).to_pylist()
    return Counter(TakenOut(**{name: row[name] for name in TakenOut._fields}) for row in rows)


def _files(memory: Path) -> Iterator[str]:
    return (str(file.relative_to(memory)) for file in memory.rglob("*") if file.is_file())
