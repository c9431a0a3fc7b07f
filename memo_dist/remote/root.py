"""Root: the one object that makes a memory of those in a store, put last, and only where there is none.

Covers: what it says, its JSON, reading it with checks; names of the others. Does not cover: putting it (uploading.py).

    s3://bucket/name.memo/memory.json       the root: the manifest, what readers by range need, who made it
    s3://bucket/name.memo/objects/DIGEST    everything else, named by the BLAKE2b of its bytes, and never changed
An object's name follows from its digest alone, so nothing that a root says leads out of the prefix; names of files are
used only for what is written here.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.generations import shard_files
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, BatchRecord, FileRecord, Manifest
from memo_dist.json_text import parse_json

ROOT = "memory.json"
OBJECTS = "objects"
MOST_ROOT = 1 << 30  # bytes
_TYPE, _VERSION = "memo-dist memory in a store", 1
_DIGEST = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Piece:
    """An object: the BLAKE2b of its bytes, and how many they are."""

    blake2b: str
    bytes: int

    @property
    def object(self) -> str:
        """Its name in the store, below the memory's."""
        return f"{OBJECTS}/{self.blake2b}"


@dataclass(frozen=True)
class Ranges:
    """What it takes to read a file by range: its head (blocks.py), and the digests of its blocks."""

    head: Piece
    blocks: Piece


@dataclass(frozen=True)
class Maker:
    """Who committed a memory: the machine, the process, and when."""

    host: str
    process: int
    when: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} at {self.when}"


@dataclass(frozen=True)
class Root:
    """What a memory in a store is.

    Attributes:
        manifest: the text of manifest.json.
        others: files that it does not list with a digest, by name: the tokenizer, places of documents taken out.
        ranges: of each file that is read by range, by its name; none of a memory that can change.
        maker: who committed it.
    """

    manifest: str
    others: dict[str, Piece]
    ranges: dict[str, Ranges]
    maker: Maker

    def to_bytes(self) -> bytes:
        """JSON, with a checksum of everything else in it."""
        body = {"type": _TYPE, "version": _VERSION, **asdict(self)}
        return (json.dumps({**body, "checksum": _checksum(body)}, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, url: str) -> "Root":
        """What `to_bytes` gave.

        Raises:
            DamagedMemoryError: it is something else; `url` is named.
        """
        try:
            body = parse_json(data.decode())
            checksum = body.pop("checksum")
            if (body.pop("type"), body.pop("version")) != (_TYPE, _VERSION):
                raise DamagedMemoryError(f"{url} is of another kind or version than this program reads")
            if checksum != _checksum({"type": _TYPE, "version": _VERSION, **body}):
                raise DamagedMemoryError(f"{url} was altered: its checksum does not match; upload the memory again")
            others, ranges = body.pop("others"), body.pop("ranges")
            by_name = {_file(name): Ranges(_piece(one["head"]), _piece(one["blocks"])) for name, one in ranges.items()}
            return cls(
                manifest=_text(body.pop("manifest")),
                others={_file(name): _piece(one) for name, one in others.items()},
                ranges=by_name,
                maker=Maker(**body.pop("maker")),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedMemoryError(f"{url} is no memory in a store ({error}); upload the memory again") from error


def files_of(manifest: Manifest) -> dict[str, Piece]:
    """Every file of a memory but manifest and tokenizer, by its name in the directory.

    Raises:
        DamagedMemoryError: a name is not one that a writer gives, such as a path that leads out.
    """
    found: dict[str, Piece] = {}
    for record in _records(manifest):
        name = _file(record.file)
        if name in (MANIFEST_FILE, TOKENIZER_FILE):
            raise DamagedMemoryError(f"the manifest lists {name!r} as a file of its own; restore it")
        folder = f"{BATCHES_FOLDER}/" if isinstance(record, BatchRecord) else ""
        found[folder + name] = _piece({"blake2b": record.blake2b, "bytes": record.bytes})
    return found


def names_beside(manifest: Manifest) -> set[str]:
    """The files of a memory that its manifest names without their digests, or does not name: see Root.others."""
    names = {TOKENIZER_FILE} if manifest.tokenizer_hash else set()
    return names | {_file(name) for name in shard_files(manifest)} - set(files_of(manifest))


def files_in(root: Root, manifest: Manifest, url: str) -> dict[str, Piece]:
    """Every file of a memory but its manifest, by its name in the directory.

    Raises:
        DamagedMemoryError: root and manifest do not name the same; `url` is named.
    """
    files = files_of(manifest)
    by_range = set() if manifest.solved is None and not manifest.bits else {n for n in files if n.endswith(".h5")}
    if set(root.others) != names_beside(manifest) or set(root.ranges) != by_range:
        raise DamagedMemoryError(f"{url} lists other files than its manifest; upload the memory again")
    return {**files, **root.others}


def digest_of(data: bytes) -> str:
    """BLAKE2b-128, as objects are named by."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _records(what: Any) -> Iterator[Any]:
    """Everything in a manifest that says file, bytes and blake2b, however deep."""
    if isinstance(what, list):
        for one in what:
            yield from _records(one)
    elif is_dataclass(what):
        names = [field.name for field in fields(what)]
        if isinstance(what, FileRecord) or {"file", "bytes", "blake2b"} <= set(names):
            yield what
        for name in names:
            yield from _records(getattr(what, name))


def _piece(values: dict[str, Any]) -> Piece:
    blake2b, size = values["blake2b"], values["bytes"]
    if not isinstance(blake2b, str) or not _DIGEST.fullmatch(blake2b) or type(size) is not int or size < 0:
        raise DamagedMemoryError(f"{blake2b!r} of {size!r} bytes is no object of a memory; restore the manifest")
    return Piece(blake2b, size)


def _file(name: object) -> str:
    if not isinstance(name, str) or not _FILE.fullmatch(name):
        raise DamagedMemoryError(f"{name!r} is no name of a file of a memory; restore the manifest")
    return name


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it holds no manifest")
    return value


def _checksum(body: dict[str, Any]) -> str:
    return digest_of(json.dumps(body, sort_keys=True).encode())
