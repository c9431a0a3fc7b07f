"""SolvedRange: one file of a solved memory, asked rung by rung.

Covers: the pieces that the file has of every rung, checked before they are first read. Does not cover: walking up the
rungs, which may be those of other files (memory.py), the file (files/solved_reader.py).
"""

from pathlib import Path

import numpy as np

from memo_dist.files.format import solved_file
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.solved_reader import SolvedFile, pieces_of, require_sense
from memo_dist.ranges.rows import rows_of
from memo_dist.solved.values import ValueLayout


class SolvedRange:
    """Reads one file.

    Args:
        directory: the memory, or a folder with this file of it. index: of the file. manifest: the memory's.

    Raises:
        DamagedMemoryError: the file is missing, foreign, truncated or altered; it is named. So do all methods.
    """

    def __init__(self, directory: Path, index: int, manifest: Manifest) -> None:
        record = manifest.solved
        assert record is not None
        require_sense(record, directory / MANIFEST_FILE, rungs=len(manifest.config.windows))
        self._file = SolvedFile(directory / solved_file(index), index, manifest)
        self._cuts = [*record.cuts, record.anchors_cut]
        self._largest = [manifest.config.vocab_size] * len(record.cuts) + [max(record.numbers - 1, 0)]
        self._layouts = [ValueLayout.of(largest, record.check_bits) for largest in self._largest]
        self._firsts = [pieces_of(index, files=record.num_files, pieces=1 << cut).start for cut in self._cuts]
        self._checked = [np.zeros(len(places), bool) for places, _ in self._file.tables]
        self._anchor_every = record.anchor_every

    @property
    def digests(self) -> list[np.ndarray]:
        """(p, 16) uint8 of the tables of every rung, then of the anchors."""
        return [digests for _, digests in self._file.tables]

    def tell(self, rungs: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What (m,) windows of (m,) rungs are solved for.

        Returns:
            numbers: (m,) int64 tokens, or documents of anchors; -1 where none is held. several: (m,) bool.
        """
        from memo_dist.kernels.ladder import read_tables

        numbers, several = np.full(len(hashes), -1), np.zeros(len(hashes), bool)
        for rung, rows in rows_of(rungs):
            cut, layout, asked = self._cuts[rung], self._layouts[rung], hashes[rows]
            pieces = np.zeros(len(rows), np.int64) if not cut else (asked >> np.uint64(64 - cut)).astype(np.int64)
            pieces -= self._firsts[rung]
            self._check(rung, pieces)
            some, more = np.empty(len(rows), np.int64), np.empty(len(rows), bool)
            tables = cut, self._file.tables[rung][0], self._file.words, layout.check_bits, layout.number_bits
            read_tables(asked, pieces, *tables, some, more)
            some[some > self._largest[rung]] = -1
            numbers[rows], several[rows] = some, more
        return numbers, several

    def verify(self) -> None:
        """Check every byte."""
        self._file.verify()

    def close(self) -> None:
        """Nothing to do: maps end with the last array that uses them."""

    def _check(self, rung: int, pieces: np.ndarray) -> None:
        places, digests = self._file.tables[rung]
        for piece in np.unique(pieces[~self._checked[rung][pieces]]).tolist():
            self._file.check(places[piece], digests[piece], layout=self._layouts[rung])
            self._checked[rung][piece] = True
