"""RangedMemory: a memory whose ranges are opened elsewhere; to whoever asks it, a memory like another.

Covers: sorting what is asked by range, putting answers together, so that they are those of one process to the bit. Does
not cover: who answers (owners.py), the questions of one part (part.py), what is made of the answers (recalling/).

A question may take a journey, so as few as possible are asked: of the windows of a place all that may be needed are
asked at once, where a memory at hand is asked one after the other.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import MANIFEST_FILE, BatchRecord, Manifest
from memo_dist.files.opened import OpenMemory
from memo_dist.files.token_counts import total_counts
from memo_dist.models.cues import Cues
from memo_dist.models.text.followers import Followers, gathered
from memo_dist.ranges.owners import Owners
from memo_dist.ranges.plan import RangePlan
from memo_dist.shard import memory_digest
from memo_dist.solved.walk import State, Walked
from memo_dist.tokenizer import Tokenizer


class RangedMemory(OpenMemory):
    """A memory read through the owners of its ranges.

    Args:
        path: what the memory is called; nothing is opened there.
        manifest: its manifest.
        tokenizer: of the memory; None for bare token ids.
        owners: of its ranges.

    Raises:
        ConfigError: the memory has no ranges; see RangePlan.
    """

    def __init__(self, path: Path, manifest: Manifest, tokenizer: Tokenizer | None, *, owners: Owners) -> None:
        plan = RangePlan.of(manifest)
        super().__init__(path, manifest, _RangedShards(plan, owners))
        self.plan, self._owners, self._tokenizer = plan, owners, tokenizer
        self._names: dict[int, list[str]] = {}

    @property
    def tokenizer(self) -> Tokenizer | None:
        """None for a memory of bare token ids."""
        return self._tokenizer

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all files that the manifest lists."""
        return sum(self.plan.bytes(index) for index in range(len(self.plan)))

    def require_whole(self) -> None:
        """Compare the digests of all ranges together with the manifest's.

        Raises:
            DamagedMemoryError: they are others.
        """
        manifest = self.manifest
        if memory_digest(manifest.config, manifest.tokenizer_hash, self._shards.digests) != manifest.digest:
            raise DamagedMemoryError(f"{self.path}: its ranges together do not give the digest in {MANIFEST_FILE}")

    def verify(self) -> None:
        """Check every byte, each range where it is open.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        self.require_whole()
        self._shards.verify()

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes; see models.cues.Reader.

        Raises:
            ConfigError: the memory keeps no ledger.
        """
        return self._counted("followers", hashes)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents (low halves of keys, or a solved memory's numbers) that each window is an anchor of.

        Raises:
            ConfigError: the memory keeps no ledger.
        """
        if not self.is_solved:
            return self._counted("documents_at", hashes)
        numbers, several = self.anchors_at(hashes)
        held = (numbers >= 0) & ~several
        return Followers(np.concatenate([[0], np.cumsum(held)]), numbers[held], np.ones(int(held.sum()), np.int64))

    def longest_followers(self, cues: Cues) -> tuple[np.ndarray, Followers]:
        """Of each of n cues the rung of its longest window that is held, (n,) int64, -1 where none is, and what follows
        that window."""
        places, rungs = np.nonzero(cues.filled)
        hashes = cues.values[places, rungs]
        told = self._owners.ask("longest", self.plan.of_windows(hashes), places=places, rungs=rungs, hashes=hashes)
        best = np.full(len(cues), -1)
        for _, (found, rung, _) in told:
            np.maximum.at(best, found, rung)
        parts = []
        for _, (found, rung, followers) in told:
            mine = best[found] == rung
            kept = np.repeat(mine, np.diff(followers.bounds))
            sizes = np.diff(followers.bounds)[mine]
            bounds = np.concatenate([[0], np.cumsum(sizes)])
            parts.append((found[mine], Followers(bounds, followers.tokens[kept], followers.counts[kept])))
        return best, gathered(parts, len(cues))

    def walk(self, cues: Cues) -> Walked:
        """What a solved memory tells of each cue; all its windows are asked at once.

        Raises:
            ConfigError: it is no solved memory.
        """
        self._require_solved()
        places, rungs = np.nonzero(cues.filled)
        told, more = self._told(rungs, cues.values[places, rungs])
        numbers, several = np.full(cues.filled.shape, -1), np.zeros(cues.filled.shape, bool)
        numbers[places, rungs], several[places, rungs] = told, more
        count = len(cues)
        states, at = np.full(count, State.NOT_HELD, np.uint8), np.full(count, -1)
        tokens, going = np.full(count, -1), np.ones(count, bool)
        for rung in range(cues.filled.shape[1]):
            going &= cues.filled[:, rung]
            held = going & (numbers[:, rung] >= 0)
            states[going & ~held & (states == State.OPEN)] = State.LEFT
            at[held], tokens[held] = rung, numbers[held, rung]
            states[held] = np.where(several[held, rung], State.OPEN, State.SURE)
            going = held & several[:, rung]
        return Walked(states, at, tokens, np.asarray(cues.filled.any(axis=1)))

    def anchors_at(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a solved memory: see SolvedShards.

        Raises:
            ConfigError: it is no solved memory.
        """
        solved = self._require_solved().manifest.solved
        assert solved is not None
        if not solved.numbers or not len(hashes):
            return np.full(len(hashes), -1), np.zeros(len(hashes), bool)
        numbers, several = self._told(np.full(len(hashes), len(solved.cuts)), hashes)
        numbers[hashes % np.uint64(solved.anchor_every) != 0] = -1
        return numbers, several & (numbers >= 0)

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by their numbers: of a working memory the lower halves of their keys.

        Raises:
            ConfigError: the memory is published as sums.
        """
        solved = self.manifest.solved
        if solved is not None:
            wanted = [number for number in set(low) if 0 <= number < solved.numbers]
            ranges = np.full(len(wanted), self.plan.names if solved.documents else 0)
            asked, wanted = (ranges, wanted) if solved.documents else (ranges[:0], [])
        else:
            self._require_ledger()
            wanted = sorted(set(low))
            asked = np.repeat(np.arange(len(self.plan)), len(wanted))
        if not wanted:
            return {}
        numbers = np.resize(np.array(wanted, np.uint32), len(asked))
        told = [row for _, rows in self._owners.ask("named", asked, low=numbers) for row in rows]
        found: dict[int, list[str]] = {}
        for _, number, name in sorted(told, key=lambda row: row[0]):  # in the order of files, and of each file's own
            if name not in found.setdefault(number, []):
                found[number].append(name)
        return found

    @property
    def kept(self) -> "RangedBatches":
        """The token batches that it keeps."""
        return RangedBatches(self)

    def batches(self, question: str, numbers: np.ndarray) -> list[pa.Table]:
        """Kept batches, or their places, by (m,) places in the manifest."""
        found: dict[int, pa.Table] = {}
        for rows, tables in self._owners.ask(question, self.plan.of_batches(numbers), numbers=numbers):
            found.update(zip(rows.tolist(), tables, strict=True))
        return [found[row] for row in range(len(numbers))]

    def _counted(self, question: str, hashes: np.ndarray) -> Followers:
        self._require_ledger()
        return gathered(self._owners.ask(question, self.plan.of_windows(hashes), hashes=hashes), len(hashes))

    def _told(self, rungs: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers, several = np.empty(len(hashes), np.int64), np.empty(len(hashes), bool)
        for rows, found in self._owners.ask("tell", self.plan.of_rungs(rungs, hashes), rungs=rungs, hashes=hashes):
            numbers[rows], several[rows] = found
        return numbers, several

    def _require_ledger(self) -> None:
        if not self.has_ledger:
            raise ConfigError(f"{self.path} keeps no ledger to be read exactly; read its matrices (read='matrices')")

    def _require_solved(self) -> "RangedMemory":
        if not self.is_solved:
            raise ConfigError(f"{self.path} is not published with its values solved for")
        return self


class _RangedShards:
    """What OpenMemory asks of its shards, asked of the owners of ranges."""

    def __init__(self, plan: RangePlan, owners: Owners) -> None:
        self._plan, self._owners = plan, owners

    @property
    def digests(self) -> np.ndarray:
        found: dict[int, Any] = {}
        for rows, told in self._owners.ask("digests", self._every):
            found.update(zip(rows.tolist(), told, strict=True))
        return self._plan.joined([found[index] for index in range(len(self._plan))])

    def read(self, cues: np.ndarray) -> np.ndarray:
        config = self._plan.manifest.config
        if self._plan.manifest.solved is not None:
            raise ConfigError("this memory is published with its values solved for: it has no matrices")
        found = np.empty((len(cues), config.inner_dim), config.vector_type)
        for rows, vectors in self._owners.ask("read", self._plan.of_windows(cues), hashes=cues):
            found[rows] = vectors
        return found

    def token_counts(self) -> np.ndarray | None:
        if self._plan.manifest.solved is not None:
            return None
        return total_counts(found for _, found in self._owners.ask("token_counts", self._every))

    def verify(self) -> None:
        self._owners.ask("verify", self._every)

    def close(self) -> None:
        """The files are the owners'."""

    @property
    def _every(self) -> np.ndarray:
        return np.arange(len(self._plan))


class RangedBatches(KeptBatches):
    """Kept batches, read by the owners of ranges."""

    def __init__(self, memory: RangedMemory) -> None:
        super().__init__(memory.path, memory.manifest)
        self._memory = memory
        self._number = {record.file: number for number, record in enumerate(self.records)}

    def read(self, record: BatchRecord) -> pa.Table:
        """One of them."""
        (table,) = self._memory.batches("batches", np.array([self._number[record.file]]))
        return table

    def places(self) -> Iterable[pa.Table]:
        """Of each of them: ids, sources and positions."""
        return self._memory.batches("places", np.arange(len(self.records)))
