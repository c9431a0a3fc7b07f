"""Solved memories, read: tables of solved values, mapped, each checked before it is first asked.

Covers: the files of one memory. Does not cover: making them (memo_dist/solved), walking up a ladder (solved/walk.py),
the directory (opened.py).

What a file says of its tables is not believed: every table must have a shape of which all rows lie in the file, and be
the one whose digest the manifest's digest covers.
"""

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow.parquet as pq

from memo_dist.digests import array_digest
from memo_dist.durable import file_digest
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.checked import require_bytes
from memo_dist.files.extents import Extents, naming_damage
from memo_dist.files.format import require_attributes, solved_attributes, solved_file, solved_group
from memo_dist.files.manifest import Manifest, SolvedRecord
from memo_dist.models.cues import Cues
from memo_dist.models.text.followers import Followers
from memo_dist.solved.shape import ROWS_OF_A_KEY
from memo_dist.solved.table import COLUMNS, words_of
from memo_dist.solved.values import MOST_CHECK_BITS, ValueLayout
from memo_dist.solved.walk import Pieces, Tables, Walked

if TYPE_CHECKING:
    from memo_dist.remote.located import RemoteFiles
    from memo_dist.solved.fetched_tables import FetchedTables

_MOST_ROWS = 1 << 31  # of a table
_MOST_CUT = 40


class SolvedShards:
    """All files of a solved memory.

    Args:
        directory: the memory. manifest: its manifest.
        xp: numpy or cupy, where the ladder's tables are walked.
        remote: the store that the files are in, if only their heads are here.

    Raises:
        ConfigError: the device has no room for them, or they are in a store.
        DamagedMemoryError: a file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, xp: ModuleType = np, *, remote: "RemoteFiles | None" = None
    ) -> None:
        assert manifest.solved is not None
        self._remote = remote
        record = self._record = manifest.solved
        self._directory, self._manifest, self.config = directory, manifest, manifest.config
        require_sense(record, directory / "manifest.json", rungs=len(manifest.config.windows))
        self._files = [SolvedFile(directory / solved_file(index), index, manifest) for index in range(record.num_files)]
        rungs, vocab_size = len(record.windows), self.config.vocab_size
        self._rungs = [self._gathered(index) for index in range(rungs + (record.numbers > 0))]
        self.tables = self._tables(range(rungs), record.cuts, vocab_size)
        self._walked = self.tables.on(xp) if isinstance(self.tables, Tables) else _on_host(self.tables, xp)
        self._anchors = None
        if record.numbers:
            self._anchors = self._tables(range(rungs, rungs + 1), [record.anchors_cut], record.numbers - 1)

    @property
    def digests(self) -> np.ndarray:
        """(P, 16) uint8, of all tables, rung by rung, then of the anchors."""
        return np.concatenate([digests for _, digests, _ in self._rungs])

    def walk(self, cues: Cues) -> Walked:
        """See Tables.walk."""
        return self._walked.walk(cues)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The number of the document that each of (m,) windows is an anchor of; none where none is held, or several
        are named by it."""
        numbers, several = self.anchors_at(hashes)
        held = (numbers >= 0) & ~several
        bounds = np.concatenate([[0], np.cumsum(held)])
        return Followers(bounds, numbers[held], np.ones(int(held.sum()), np.int64))

    def anchors_at(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of a document that each of (m,) windows is an anchor of, -1 where none is held, and whether it is
        one of several."""
        if self._anchors is None or not len(hashes):
            return np.full(len(hashes), -1), np.zeros(len(hashes), bool)
        numbers, several = self._anchors.read(hashes)
        numbers[hashes % np.uint64(self._record.anchor_every) != 0] = -1
        return numbers, several & (numbers >= 0)

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by their numbers."""
        wanted = sorted({number for number in low if 0 <= number < self._record.numbers})
        if not wanted or self._record.documents is None:
            return {}
        path = self._directory / self._record.documents.file
        if self._remote is not None:
            self._remote.take(path.name)
        self._require_documents(path)
        with naming_damage(path):
            table = pq.read_table(path, filters=[("number", "in", wanted)], partitioning=None)
        found: dict[int, list[str]] = {}
        for number, name in zip(*(table.column(name).to_pylist() for name in ("number", "id")), strict=True):
            found.setdefault(number, []).append(name)
        return found

    def read(self, cues: np.ndarray) -> np.ndarray:
        """A solved memory has no matrices.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("this memory is published with its values solved for: it has no matrices; read it exactly")

    def token_counts(self) -> np.ndarray | None:
        """None: they are the prior of matrices."""
        return None

    def verify(self) -> None:
        """Check every byte."""
        if self._remote is not None:
            self._remote.verify()
            return
        for file in self._files:
            file.verify()
        if self._record.documents is not None:
            self._require_documents(self._directory / self._record.documents.file)

    def close(self) -> None:
        """Let go of a store; maps end with the last array that uses them."""
        if self._remote is not None:
            self._remote.close()

    def _require_documents(self, path: Path) -> None:
        assert self._record.documents is not None
        require_bytes(path, self._record.documents)
        if file_digest(path) != self._record.documents.blake2b:
            raise DamagedMemoryError(f"{path} does not match the manifest's checksum; restore it or publish again")

    def _gathered(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places (p, PLACES), digests (p, 16) and files (p,) of the tables of a rung, in order."""
        parts = [file.tables[index] for file in self._files]
        files = np.repeat(np.arange(len(parts)), [len(places) for places, _ in parts])
        return np.concatenate([places for places, _ in parts]), np.concatenate([d for _, d in parts]), files

    def _tables(self, rungs: range, cuts: list[int], largest: int) -> "Tables | FetchedTables":
        layout = ValueLayout.of(largest, self._record.check_bits)
        places, digests, files = (np.concatenate([self._rungs[index][k] for index in rungs]) for k in range(3))
        sizes = [1 << cut for cut in cuts]
        pieces = Pieces(
            first=np.cumsum([0, *sizes[:-1]]).astype(np.int64),
            cuts=np.array(cuts, np.int64),
            places=places,
            files=files,
            layout=layout,
            largest=largest,
        )

        if self._remote is not None:
            from memo_dist.solved.fetched_tables import FetchedTables

            return FetchedTables(pieces, self._remote.blocks)

        def check(asked: np.ndarray) -> None:
            for piece in asked.tolist():
                self._files[files[piece]].check(places[piece], digests[piece], layout=layout)

        return Tables(pieces, [file.words for file in self._files], check)


class SolvedFile:
    """One file, mapped.

    Attributes:
        words: (W,) uint64, the whole file.
        tables: of each rung, and of the anchors: places (p, PLACES) int64 and digests (p, 16) of its tables here.
    """

    def __init__(self, path: Path, index: int, manifest: Manifest) -> None:
        record = manifest.solved
        assert record is not None
        self.path, self._file = path, record.files[index]
        require_bytes(path, self._file)
        config, rungs = manifest.config, len(record.windows)
        largest = [config.vocab_size] * rungs + [max(record.numbers - 1, 0)]
        cuts = [*record.cuts, record.anchors_cut]
        self.tables: list[tuple[np.ndarray, np.ndarray]] = []
        with naming_damage(path), h5py.File(path, "r") as opened:
            attributes = solved_attributes(
                config, manifest.tokenizer_hash, index=index, files=record.num_files, check_bits=record.check_bits
            )
            require_attributes(opened, path, attributes)
            extents = Extents(path, opened)
            for rung in range(rungs + (record.numbers > 0)):
                part = pieces_of(index, files=record.num_files, pieces=1 << cuts[rung])
                layout = ValueLayout.of(largest[rung], record.check_bits)
                self.tables.append(self._found(extents, solved_group(rung, rungs), len(part), layout=layout))
            extents.close()
        with naming_damage(path):
            self.words: np.ndarray = np.memmap(path, "<u8", "r", shape=(path.stat().st_size // 8,))

    def _found(
        self, extents: Extents, group: str, pieces: int, *, layout: ValueLayout
    ) -> tuple[np.ndarray, np.ndarray]:
        shapes = extents.find(f"{group}/pieces", (pieces, COLUMNS), "<u8").all()
        digests = extents.find(f"{group}/digests", (pieces, 16), "|u1").all()
        _, _, count, length, code_bits, _, far_count, far_length = shapes.T
        whole = (shapes < _MOST_ROWS).all(axis=1) & (code_bits < layout.number_bits)
        for segments, rows in ((count, length), (far_count, far_length)):
            whole &= ((rows & (rows - np.uint64(1))) == 0) & ((rows == 0) == (segments == 0))
            whole &= (segments + np.uint64(ROWS_OF_A_KEY - 1)) * rows < _MOST_ROWS
        if not whole.all():
            raise DamagedMemoryError(f"{self.path}: {group} has tables of no shape; restore the file or publish again")
        sizes = words_of(shapes, layout)
        words = extents.find(f"{group}/words", (int(sizes.sum()),), "<u8")
        if words.offset % 8:
            raise DamagedMemoryError(f"{self.path}: {group}/words is not aligned; restore the file or publish again")
        starts = words.offset // 8 + np.cumsum(sizes).reshape(-1, 3) - sizes
        near, far, codes = starts.T
        kept = shapes.astype(np.int64)
        return np.column_stack([near, kept[:, 1:5], far, kept[:, 5:8], codes, kept[:, 0]]), digests

    def check(self, place: np.ndarray, digest: np.ndarray, *, layout: ValueLayout) -> None:
        """Compare one piece with its digest."""
        first, windows, shape = int(place[0]), int(place[-1]), place[[10, 1, 2, 3, 4, 6, 7, 8]].astype("<u8")
        table = self.words[first : first + int(words_of(shape[None, :], layout).sum())]
        if not np.array_equal(array_digest(table, shape), digest):
            raise DamagedMemoryError(
                f"{self.path}: a table of {windows:,} windows does not match its digest; restore the file or publish "
                "again"
            )

    def verify(self) -> None:
        """Check the whole file, and every table."""
        if file_digest(self.path) != self._file.blake2b:
            raise DamagedMemoryError(f"{self.path} does not match the manifest's checksum; restore it or publish again")


def _on_host(tables: "FetchedTables", xp: ModuleType) -> "FetchedTables":
    if xp is not np:
        raise ConfigError("a memory in a store is not read on a GPU; copy it here first, memo-dist copy")
    return tables


def pieces_of(file: int, *, files: int, pieces: int) -> range:
    """Which of so many pieces of a rung, a power of two, are in one of so many files."""
    return range(-(-file * pieces // files), -(-(file + 1) * pieces // files))


def require_sense(record: SolvedRecord, path: Path, *, rungs: int) -> None:
    """Refuse counts that no writer gives."""
    counts = [record.check_bits, record.anchors, record.anchors_cut, record.numbers, record.num_files]
    whole = all(isinstance(value, int) and value >= 0 for value in [*counts, *record.windows, *record.cuts])
    fits = whole and len(record.windows) == len(record.cuts) == rungs
    fits = fits and len(record.files) == record.num_files >= 1 and 1 <= record.check_bits <= MOST_CHECK_BITS
    fits = fits and max([*record.cuts, record.anchors_cut]) <= _MOST_CUT
    fits = fits and [file.file for file in record.files] == [solved_file(i) for i in range(record.num_files)]
    fits = fits and isinstance(record.anchor_every, int) and (record.anchor_every > 0) == (record.numbers > 0)
    if not fits or (record.numbers > 0) != (record.documents is not None):
        raise DamagedMemoryError(f"{path} describes a solved memory that cannot be; restore it or publish again")
