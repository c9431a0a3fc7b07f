"""Statement: what a build or a change is of, kept in its workspace so that only the same one goes on.

Covers: the fields, their JSON, the refusal of anything else. Does not cover: where it is kept (workspace.py), how it is
found (prepare.py, change.py).

Resources (resources.py) are no part of a statement: they may change from one attempt to the next.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.corpus_stamp import CorpusStamp
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.journal import MergeEntry, RebankEntry, now
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import config_from_dict
from memo_dist.models.repetition import Repetition


@dataclass(frozen=True, kw_only=True)
class BuildStatement:
    """What a build makes.

    Attributes:
        inputs: as the command named them.
        settings: the command's, by name, without its resources.
        corpus: the sources.
        config: the memory's shape.
        tokens, documents: of the corpus, as the plan has them.
        repetition: of the text, as a sample showed it; None if there was none.
    """

    inputs: list[str]
    settings: dict[str, Any]
    corpus: CorpusStamp
    config: MemoryConfig
    tokens: int
    documents: int
    repetition: Repetition | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        text = {} if self.repetition is None else {"repetition": self.repetition.to_dict()}
        return {
            "inputs": self.inputs,
            "settings": self.settings,
            **self.corpus.to_dict(),
            "config": self.config.to_dict(),
            "tokens": self.tokens,
            "documents": self.documents,
            **text,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BuildStatement":
        """What `to_dict` gave, by way of JSON.

        Raises:
            DamagedMemoryError: a field is missing or is not what it should be.
        """
        try:
            text = values.get("repetition")
            return cls(
                inputs=values["inputs"],
                settings=values["settings"],
                corpus=CorpusStamp(sources=values["sources"], splits=values["splits"]),
                config=config_from_dict(values["config"]),
                tokens=values["tokens"],
                documents=values["documents"],
                repetition=None if text is None else Repetition.from_dict(text),
            )
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise DamagedMemoryError(f"the statement of a stopped build is not whole: {error!r}") from error


@dataclass(frozen=True, kw_only=True)
class ChangeStatement:
    """What an addition or a forgetting does.

    Attributes:
        action: "add", "forget", "sync", "replace" or "compact".
        generation: names the memory that is changed, as it was before.
        inputs: as the command named them, or as the journal did.
        documents: ids that the command named.
        settings: how the corpus is read.
        corpus: the sources.
    """

    action: str
    generation: str
    inputs: list[str]
    documents: list[str]
    settings: dict[str, Any]
    corpus: CorpusStamp

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "action": self.action,
            "generation": self.generation,
            "inputs": self.inputs,
            "documents": self.documents,
            "settings": self.settings,
            **self.corpus.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class CombineStatement:
    """What merge or rebank makes a new memory of.

    Attributes:
        action: "merge" or "rebank".
        memories: their directories. digests: what they hold.
        banks: before and after; None for a merge.
    """

    action: str
    memories: list[str]
    digests: list[str]
    banks: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        banks = {} if self.banks is None else {"banks": list(self.banks)}
        return {"action": self.action, "memories": self.memories, "digests": self.digests, **banks}

    def entry(self) -> MergeEntry | RebankEntry:
        """What the new memory's journal says of it."""
        if self.banks is None:
            return MergeEntry(memories=self.memories, when=now())
        return RebankEntry(memories=self.memories, banks=list(self.banks), when=now())


@dataclass(frozen=True, kw_only=True)
class PublishStatement:
    """What is published: only the same goes on from what a stopped command has done."""

    memory: str
    digest: str
    windows: list[int]
    check_bits: int
    anchors: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"action": "publish", **asdict(self)}


Statement = BuildStatement | ChangeStatement | CombineStatement | PublishStatement


def require_same(
    ours: dict[str, Any], theirs: dict[str, Any], out: Path | str, *, place: Path, what_stopped: str = "build"
) -> None:
    """Refuse to go on with a build, or another job, of something else.

    Args:
        ours, theirs: statements, the second as JSON has it; a difference inside a table is named with its key.
        out: what is made.
        place: the directory that the stopped one left.
        what_stopped: its name in the message.

    Raises:
        ConfigError: naming the first thing that differs.
    """
    ours = json.loads(json.dumps(ours))  # tuples, such as windows, come back as lists
    for name in sorted({*ours, *theirs}):
        mine, other = ours.get(name), theirs.get(name)
        if mine == other:
            continue
        what = name
        if isinstance(mine, dict) and isinstance(other, dict):
            key = next(k for k in sorted({*mine, *other}) if mine.get(k) != other.get(k))
            what, mine, other = f"{name}: {key}", mine.get(key, "not there"), other.get(key, "not there")
        raise ConfigError(
            f"a stopped {what_stopped} of {out} is to be continued, but {what} differs: it is {mine} now and was "
            f"{other}. Restore it, or remove {place} to start anew"
        )
