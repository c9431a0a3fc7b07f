"""RangePlan: which files of a memory answer together, and which of them a window asks.

Covers: working memories, published sums, solved memories. Does not cover: who has opened a range (owners.py), reading
one (part.py, solved_range.py).

A range is what one shard file holds: a stretch of banks, or a stretch of the pieces of every rung of a ladder. A
window's hash names it. What segments say of the same banks goes with it, as do the documents of a shard and a share of
the kept batches; the names that a solved memory has for its documents are a range of their own, the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.manifest import FileRecord, Manifest
from memo_dist.files.solved_reader import pieces_of
from memo_dist.files.taken_places import digest_in
from memo_dist.models import model_of
from memo_dist.models.text.bank_assignment import bank_edge, bank_of


@dataclass(frozen=True)
class RangePlan:
    """The ranges of one memory.

    Attributes:
        manifest: the memory's.
    """

    manifest: Manifest

    @classmethod
    def of(cls, manifest: Manifest) -> "RangePlan":
        """The ranges of a memory.

        Raises:
            ConfigError: it has none: it is of the preset paper.
        """
        if not model_of(manifest.config).tells_length:
            raise ConfigError(
                "bank servers own ranges of banks, and a memory of the preset paper is one matrix: "
                "ask it without them (recall --shards loads it into actors)"
            )
        return cls(manifest)

    def __len__(self) -> int:
        solved = self.manifest.solved
        return len(self.manifest.shards) if solved is None else solved.num_files + (solved.documents is not None)

    @property
    def names(self) -> int:
        """The range of a solved memory that names its documents."""
        assert self.manifest.solved is not None
        return self.manifest.solved.num_files

    def files(self, index: int) -> list[FileRecord]:
        """The files of a range, by their names in the directory."""
        solved = self.manifest.solved
        if solved is not None:
            if index < solved.num_files:
                return [solved.files[index]]
            return [] if solved.documents is None else [solved.documents]
        only = self.alone(index)
        records = [*only.shards, *(record for segment in only.segments for record in segment.files)]
        own = [FileRecord(record.file, record.bytes, record.blake2b) for record in records]
        own += [record.documents for record in records if record.documents is not None]
        kept = self.manifest.batches[index :: len(self)]
        own += [FileRecord(name, 0, digest_in(name)) for name in sorted({name for one in kept for name in one.taken})]
        return own + [replace(record, file=f"{BATCHES_FOLDER}/{record.file}") for record in kept]

    def alone(self, index: int) -> Manifest:
        """The manifest of a working memory, or one published as sums, with one range and no other."""
        segments = [replace(segment, files=[segment.files[index]]) for segment in self.manifest.segments]
        return replace(self.manifest, shards=[self.manifest.shards[index]], segments=segments)

    def joined(self, digests: Sequence[Any]) -> np.ndarray:
        """What the memory's digest is over, from what MemoryPart.digests tells of each range, in order."""
        solved = self.manifest.solved
        if solved is None:
            return np.concatenate(digests)
        return np.concatenate([one for rung in zip(*digests[: solved.num_files], strict=True) for one in rung])

    def bytes(self, index: int) -> int:
        """Of the files of a range."""
        return sum(record.bytes for record in self.files(index))

    def of_windows(self, hashes: np.ndarray) -> np.ndarray:
        """The range that has the bank of each of (m,) windows."""
        starts = np.array([shard.first_bank for shard in self.manifest.shards])
        banks = bank_of(hashes, self.manifest.config.num_banks)
        return np.asarray(np.searchsorted(starts, banks, side="right") - 1)

    def first_window(self, index: int) -> np.ndarray:
        """(1,) the least window that falls to a range; of a solved memory, of its first rung, and none, (0,), where the
        range has no piece of it, or is that of names."""
        solved, config = self.manifest.solved, self.manifest.config
        if solved is None:
            return np.array([bank_edge(self.manifest.shards[index].first_bank, config.num_banks)], np.uint64)
        if index == solved.num_files:
            return np.zeros(0, np.uint64)
        cut = solved.cuts[0]
        pieces = pieces_of(index, files=solved.num_files, pieces=1 << cut)
        return np.array([piece << (64 - cut) if cut else 0 for piece in pieces[:1]], np.uint64)

    def of_rungs(self, rungs: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """The range that has the piece of each of (m,) windows of a solved memory's (m,) rungs; a rung more than the
        ladder has is the anchors'."""
        solved = self.manifest.solved
        assert solved is not None
        cuts = np.array([*solved.cuts, solved.anchors_cut], np.uint64)[rungs]
        pieces = np.where(cuts > 0, hashes >> (np.uint64(64) - np.maximum(cuts, np.uint64(1))), np.uint64(0))
        return np.asarray((pieces * np.uint64(solved.num_files)) >> cuts, np.int64)

    def of_batches(self, numbers: np.ndarray) -> np.ndarray:
        """The range that each of (m,) kept batches goes with, by their places in the manifest."""
        return np.asarray(numbers % len(self))
