"""CorpusStamp: what changes when a file of a corpus does.

Covers: the stamps of all files, as lines in a file beside the statement that has their digest; which file it is that
differs. Does not cover: what a stamp is (pipelines/sources.py), the statement (statement.py).

A million files have 60 MB of lines; as objects in the statement they took a gigabyte to compare.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from memo_dist.durable import sync_file, writing
from memo_dist.errors import ConfigError
from pipelines.plan import CorpusPlan
from pipelines.sources import source_stamp

SOURCES_FILE = "sources.jsonl"


@dataclass(frozen=True, kw_only=True)
class CorpusStamp:
    """The stamp of a corpus.

    Attributes:
        sources: BLAKE2b-128 over `lines`.
        splits: BLAKE2b-128 over the ids of all batches.
        lines: for each file, in the order of the corpus, its name and stamp in JSON.
    """

    sources: str
    splits: str
    lines: bytes = field(default=b"", compare=False, repr=False)

    @classmethod
    def of(cls, corpus: CorpusPlan) -> "CorpusStamp":
        """The stamp of a corpus as it is now."""
        splits, lines = hashlib.blake2b(digest_size=16), bytearray()
        for source in corpus.splits.sources:
            lines += json.dumps([source.name, *source_stamp(source)]).encode() + b"\n"
        for split in corpus.splits:
            splits.update(split.batch_id.encode())
        sources = hashlib.blake2b(lines, digest_size=16)
        return cls(sources=sources.hexdigest(), splits=splits.hexdigest(), lines=bytes(lines))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"sources": self.sources, "splits": self.splits}

    def write(self, folder: Path) -> None:
        """Keep the lines beside a statement.

        Raises:
            StorageError: they cannot be written.
        """
        path = folder / SOURCES_FILE
        with writing(path):
            path.write_bytes(self.lines)
            sync_file(path)

    def require_sources(self, folder: Path, out: Path) -> None:
        """Refuse to go on with a build, or a change, of files that were others.

        Args:
            folder: that of the stopped one. out: what is made.

        Raises:
            ConfigError: naming the first file that differs.
        """
        try:
            theirs = (folder / SOURCES_FILE).read_bytes()
        except OSError:  # the digests in the statement are compared all the same
            return
        if theirs == self.lines:
            return
        name, mine, other = _first_difference(_lines(self.lines), _lines(theirs))
        raise ConfigError(
            f"a stopped build of {out} is to be continued, but sources: {name} differs: it is {mine or 'not there'} "
            f"now and was {other or 'not there'}. Restore it, or remove {folder} to start anew"
        )


def _lines(content: bytes) -> Iterator[bytes]:
    start = 0
    while (stop := content.find(b"\n", start)) >= 0:
        yield content[start:stop]
        start = stop + 1


def _first_difference(ours: Iterable[bytes], theirs: Iterable[bytes]) -> tuple[str, list[Any], list[Any]]:
    """The first file whose lines differ, and its stamps; [] where it is not there."""
    mine, other = next(pair for pair in zip_longest(ours, theirs, fillvalue=b"[]") if pair[0] != pair[1])
    (one, *stamp), (two, *before) = json.loads(mine) or [""], json.loads(other) or [""]
    if one == two:
        return one, stamp, before
    # files are listed in order, so that the earlier name is the one that the other list lacks
    return (one, stamp, []) if one and (not two or one < two) else (two, [], before)
