"""Manifest: `manifest.json`, the table of contents of a memory directory.

Covers: its fields, reading it with checks, writing it. Does not cover: shard files (shard_writer.py), the directory
(staging.py, opened.py). The manifest is written last; a directory without one is not a memory.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.journal import Entry, TextEntry, entry_from_dict
from memo_dist.files.manifest_names import require_names
from memo_dist.json_text import parse_json
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import config_from_dict
from memo_dist.models.repetition import Repetition
from memo_dist.remote.address import refuse_address

MANIFEST_TYPE = "memo-dist memory"
MANIFEST_VERSION = 3
MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class FileRecord:
    """What the manifest says of any file: its name, and bytes and BLAKE2b of all of it."""

    file: str
    bytes: int
    blake2b: str


@dataclass(frozen=True)
class BatchRecord(FileRecord):
    """What the manifest says of a kept batch.

    Attributes:
        tokens: of it, without those of documents that were taken out.
        taken: files of the places of documents that were taken out since it was written (taken_places.py).
    """

    tokens: int
    taken: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardRecord:
    """What the manifest says of a shard file.

    Attributes:
        file: its name. bytes, blake2b: of the whole file.
        digests: BLAKE2b of its `bank_digests`; with it, and one bank's own digest, a bank is known to be this memory's.
        records: BLAKE2b of its `applied`.
        associations: held by its banks.
        token_counts: BLAKE2b of its `token_counts`; "" where the model keeps no ledger.
        documents: the file of its documents' records; None if the memory is published.
    """

    file: str
    first_bank: int
    stop_bank: int
    bytes: int
    blake2b: str
    digests: str
    records: str
    associations: int
    token_counts: str
    documents: FileRecord | None = None


@dataclass(frozen=True)
class SegmentRecord:
    """What the manifest says of a segment: a change that was written beside the shard files, not into them.

    Attributes:
        files: one for each shard file, of the same banks. Of each, `digests` and `associations` are those of its banks
            with this segment, `documents` the records of documents that came and went, `token_counts` is "".
        rows: changed associations in all of them.
    """

    files: list[ShardRecord]
    rows: int


@dataclass(frozen=True)
class SolvedRecord:
    """What the manifest says of a solved memory.

    Attributes:
        check_bits: of a value.
        windows: held, of each rung; cuts: high bits of a window's hash that tell its piece, of each rung.
        anchors: held; anchors_cut: likewise. anchor_every: of so many windows of the anchor rung one is an anchor.
        numbers: documents that anchors tell apart; 0: no anchors are kept.
        num_files: of tables. files: these. documents: the file that names them; None if no anchors are kept.
    """

    check_bits: int
    windows: list[int]
    cuts: list[int]
    anchors: int
    anchors_cut: int
    anchor_every: int
    numbers: int
    num_files: int
    files: list[FileRecord]
    documents: FileRecord | None


@dataclass(frozen=True)
class Manifest:
    """What a memory directory holds.

    Attributes:
        digest: over config, tokenizer, matrices and ledger (shard.memory_digest).
        tokens, documents: memorized, repeats included; associations: distinct ones.
        shards: in bank order, covering every bank once.
        bits: of a cell, if the memory is published for recall only; 0: it has a ledger and can change.
        sources: the journal, oldest entry first.
        keeps_tokens: whether the memory keeps the token batches that it was made of.
        batches: these, by file name.
        segments: changes since the shard files were written, oldest first.
        solved: what it is made of, if the memory is published with its values solved for; it has no banks then.
    """

    config: MemoryConfig
    tokenizer_hash: str
    digest: str
    tokens: int
    documents: int
    associations: int
    shards: list[ShardRecord]
    sources: list[Entry] = field(default_factory=list)
    bits: int = 0
    keeps_tokens: bool = False
    batches: list[BatchRecord] = field(default_factory=list)
    solved: SolvedRecord | None = None
    segments: list[SegmentRecord] = field(default_factory=list)

    @property
    def repetition(self) -> Repetition | None:
        """How the memory's text repeats itself, as its first build found it."""
        texts = (entry for entry in self.sources if isinstance(entry, TextEntry))
        return next((entry.repetition for entry in texts if entry.repetition is not None), None)

    @property
    def is_segmented(self) -> bool:
        """Whether changes are kept beside its files, as segments or as lists of what was taken out of batches."""
        return bool(self.segments) or any(batch.taken for batch in self.batches)

    @property
    def target_recall(self) -> float | None:
        """The recall that its first build was sized for; None if its number of banks was asked for."""
        texts = (entry for entry in self.sources if isinstance(entry, TextEntry))
        first = next(texts, None)
        return None if first is None else first.target_recall

    @property
    def generation(self) -> str:
        """The checksum in `manifest.json`: names these files, where the digest names what they hold, which compacting
        and purging leave as it is."""
        return str(self._body()["checksum"])

    def to_json(self) -> str:
        """JSON text, with a checksum of everything else in it."""
        return json.dumps(self._body(), indent=1) + "\n"

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": MANIFEST_TYPE,
            "version": MANIFEST_VERSION,
            **asdict(self),
            "config": self.config.to_dict(),
            "sources": [entry.to_dict() for entry in self.sources],
        }
        if self.solved is None:
            del body["solved"]
        if not self.segments:
            del body["segments"]
        for batch in body["batches"]:
            if not batch["taken"]:
                del batch["taken"]
        body["checksum"] = _checksum(body)
        return body

    def write(self, directory: Path) -> None:
        """Write the manifest by temporary name, fsync and rename.

        Raises:
            StorageError: it cannot be written.
        """
        path = directory / MANIFEST_FILE
        with writing(path):
            write_text(path, self.to_json())

    @classmethod
    def read(cls, directory: Path, name: str = MANIFEST_FILE) -> "Manifest":
        """Read and check a manifest.

        Raises:
            DamagedMemoryError: it is missing, altered, of another version, or does not cover every bank.
        """
        path = directory / name
        if not directory.exists():
            refuse_address(directory)
            raise DamagedMemoryError(f"{directory} does not exist; expected a memory directory made by memo-dist build")
        if not path.is_file():
            raise DamagedMemoryError(f"{directory} has no {name}, so it is not a finished memory")
        try:
            text = path.read_bytes().decode()  # read_text would make line feeds of carriage returns
            body = parse_json(text)
            kind, version, checksum = body["type"], body["version"], body.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise DamagedMemoryError(f"{path} is not a manifest of a memory ({error}); restore it") from error
        if kind != MANIFEST_TYPE or version != MANIFEST_VERSION:
            raise DamagedMemoryError(_other_version(path, kind, version))
        altered = f"{path} was altered: its checksum does not match. Restore it from a copy"
        if checksum != _checksum(body):
            raise DamagedMemoryError(altered)
        del body["type"], body["version"]
        try:
            config = config_from_dict(body.pop("config"))
            shards = [_shard_record(shard) for shard in body.pop("shards")]
            sources = [entry_from_dict(entry) for entry in body.pop("sources")]
            batches = [_batch_record(batch) for batch in body.pop("batches")]
            solved = _solved_record(body.pop("solved", None))
            segments = [_segment_record(segment) for segment in body.pop("segments", [])]
            manifest = cls(
                config=config,
                shards=shards,
                sources=sources,
                batches=batches,
                solved=solved,
                segments=segments,
                **body,
            )
        except (ConfigError, TypeError, KeyError, AttributeError) as error:
            raise DamagedMemoryError(f"{path} cannot be understood: {error}") from error
        require_names(manifest, path)
        if text != manifest.to_json():  # white space, order, a key twice
            raise DamagedMemoryError(altered)
        if solved is None:
            manifest._require_banks(path)
        return manifest

    def _require_banks(self, path: Path) -> None:
        at = 0
        for shard in self.shards:
            if shard.first_bank != at:
                raise DamagedMemoryError(f"{path} lists no shard that begins at bank {at}")
            at = shard.stop_bank
        if at != self.config.num_banks:
            raise DamagedMemoryError(f"{path} lists shards for {at} banks of {self.config.num_banks}")


def _shard_record(values: dict[str, Any]) -> ShardRecord:
    documents = values.pop("documents")
    return ShardRecord(**values, documents=None if documents is None else FileRecord(**documents))


def _batch_record(values: dict[str, Any]) -> BatchRecord:
    return BatchRecord(**{**values, "taken": tuple(values.get("taken", ()))})


def _segment_record(values: dict[str, Any]) -> SegmentRecord:
    return SegmentRecord(**{**values, "files": [_shard_record(file) for file in values["files"]]})


def _solved_record(values: dict[str, Any] | None) -> SolvedRecord | None:
    if values is None:
        return None
    files = [FileRecord(**record) for record in values.pop("files")]
    documents = values.pop("documents")
    return SolvedRecord(**values, files=files, documents=None if documents is None else FileRecord(**documents))


def _other_version(path: Path, kind: object, version: object) -> str:
    """What to do with a memory of another format."""
    if kind == MANIFEST_TYPE and isinstance(version, int) and 0 < version < MANIFEST_VERSION:
        return (
            f"{path} was made by memo-dist of format {version}, and this program reads format {MANIFEST_VERSION}; "
            "build it again from its corpus: memo-dist build INPUT... --out M.memo"
        )
    wanted = f"this program reads {MANIFEST_TYPE!r} of version {MANIFEST_VERSION}"
    return f"{path} is a {kind!r} of version {version!r}; {wanted}"


def _checksum(body: dict[str, Any]) -> str:
    canonical = json.dumps({k: v for k, v in body.items() if k != "checksum"}, sort_keys=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
