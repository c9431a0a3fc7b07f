"""Journal: what was done to a memory, one entry for each action, kept in its manifest.

Covers: the entries, their JSON, an entry in words. Does not cover: the manifest around them (manifest.py).

Entries are read strictly: an action or a field that this version does not know is refused by name, because a manifest
is written back as it was read, and nothing in it may be lost.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

from memo_dist.errors import ConfigError
from memo_dist.models.repetition import Repetition


def now() -> str:
    """The time for an entry: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Entry:
    """What all entries have.

    Attributes:
        action: what was done, the name of the command. when: UTC, ISO 8601, when it was finished.
    """

    action: ClassVar[str]
    when: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the action, then every field that has a value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # all are
        shown = {name: value for name, value in values.items() if value is not None}
        return {"action": self.action, **{name: _plain(value) for name, value in shown.items()}}

    @property
    def inputs_named(self) -> list[str]:
        """The texts or memories that the action took."""
        return []

    @property
    def remarks(self) -> list[str]:
        """What else is worth telling, in words."""
        return []

    def told(self) -> str:
        """The entry in words: what was done, from where, how much."""
        words, names = self.action, self.inputs_named
        if names:
            words += f" {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return words + (f" ({', '.join(self.remarks)})" if self.remarks else "")


@dataclass(frozen=True, kw_only=True)
class TextEntry(Entry):
    """Texts were taken in or out.

    Attributes:
        inputs: as the command named them. files: how many they were.
        splits, splits_done: pieces that the texts were cut into; fewer are done only in a build's checkpoint.
        skipped, replaced: documents that were not valid UTF-8. empty: documents without text.
        repetition: of the text, as a sample showed it; None if there was none.
        target_recall: that the number of banks was chosen for; None if that was asked for.
    """

    when: str
    inputs: list[str]
    files: int
    splits: int
    splits_done: int
    skipped: int
    replaced: int
    empty: int
    repetition: Repetition | None = None
    target_recall: float | None = None

    @property
    def inputs_named(self) -> list[str]:
        return self.inputs

    @property
    def remarks(self) -> list[str]:
        counts = {"files": self.files, "skipped": self.skipped, "replaced": self.replaced, "empty": self.empty}
        return [f"{count:,} {name}" for name, count in counts.items() if count]


@dataclass(frozen=True, kw_only=True)
class BuildEntry(TextEntry):
    """A memory was built."""

    action: ClassVar[str] = "build"


@dataclass(frozen=True, kw_only=True)
class AddEntry(TextEntry):
    """Documents were added."""

    action: ClassVar[str] = "add"


@dataclass(frozen=True, kw_only=True)
class ForgetEntry(TextEntry):
    """Documents were forgotten."""

    action: ClassVar[str] = "forget"


@dataclass(frozen=True, kw_only=True)
class SyncEntry(TextEntry):
    """The memory was brought to what its inputs were."""

    action: ClassVar[str] = "sync"


@dataclass(frozen=True, kw_only=True)
class ReplaceEntry(TextEntry):
    """A document was given another text."""

    action: ClassVar[str] = "replace"


@dataclass(frozen=True, kw_only=True)
class CompactEntry(Entry):
    """So many segments were folded into the memory's files."""

    action: ClassVar[str] = "compact"

    when: str
    segments: int

    @property
    def remarks(self) -> list[str]:
        return [f"{self.segments:,} segments"]


@dataclass(frozen=True, kw_only=True)
class MergeEntry(Entry):
    """Memories were merged into a new one."""

    action: ClassVar[str] = "merge"

    memories: list[str]
    when: str

    @property
    def inputs_named(self) -> list[str]:
        return self.memories


@dataclass(frozen=True, kw_only=True)
class RebankEntry(Entry):
    """A memory was given another number of banks: `banks` before and after."""

    action: ClassVar[str] = "rebank"

    memories: list[str]
    banks: list[int]
    when: str

    @property
    def inputs_named(self) -> list[str]:
        return self.memories


@dataclass(frozen=True, kw_only=True)
class PublishEntry(Entry):
    """A memory was published: which, at how many bits a cell, 0 if solved, and the digest that it had."""

    action: ClassVar[str] = "publish"

    when: str
    memory: str
    bits: int
    digest: str

    @property
    def remarks(self) -> list[str]:
        return [f"at {self.bits} bits from {self.memory}" if self.bits else f"solved, from {self.memory}"]


TEXT_ENTRIES: dict[str, type[TextEntry]] = {
    "build": BuildEntry,
    "add": AddEntry,
    "forget": ForgetEntry,
    "sync": SyncEntry,
    "replace": ReplaceEntry,
}
ENTRIES: dict[str, type[Entry]] = {
    **TEXT_ENTRIES,
    "compact": CompactEntry,
    "merge": MergeEntry,
    "rebank": RebankEntry,
    "publish": PublishEntry,
}


def entry_from_dict(values: object) -> Entry:
    """The entry that `Entry.to_dict` described.

    Raises:
        ConfigError: the action or a field is unknown or missing; it is named.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"the journal has the entry {values!r}; expected an object")
    settings = dict(values)
    action = settings.pop("action", None)
    if not isinstance(action, str) or action not in ENTRIES:
        raise ConfigError(f"the journal has the action {action!r}; a newer memo-dist may have written it")
    kind = ENTRIES[action]
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # all entries are dataclasses
    if unknown := set(settings) - known:
        raise ConfigError(
            f"the journal's entry of the action {action!r} has the fields {sorted(unknown)}, which are not known here; "
            "a newer memo-dist may have written them"
        )
    try:
        if isinstance(settings.get("repetition"), dict):
            settings["repetition"] = Repetition.from_dict(settings["repetition"])
        return kind(**settings)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"the journal's entry of the action {action!r} is incomplete: {error}") from error


def _plain(value: object) -> object:
    return value.to_dict() if isinstance(value, Repetition) else value
