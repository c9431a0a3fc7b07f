"""Writing the files of a solved memory: its tables, rung by rung, in as many HDF5 files as they need.

Covers: which tables are in which file, one file. Does not cover: solving (steps.py), reading (files/solved_reader.py),
the manifest. The format is stated in docs/reference/format.md.

A table's words are as they are in memory, so that files are mapped. Which tables a file has follows from how many files
there are; the tables themselves, and so the memory's digest, do not depend on it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from memo_dist.digests import array_digest
from memo_dist.durable import Sink, file_digest, sync_directory, writing
from memo_dist.files.format import Attributes, solved_group, write_attributes
from memo_dist.files.manifest import FileRecord
from memo_dist.files.solved_reader import pieces_of
from memo_dist.solved.steps import PieceRecord, words_path
from memo_dist.solved.table import COLUMNS

_ALIGNED = {"alignment_threshold": 1, "alignment_interval": 8}  # bytes: words are mapped


@dataclass(frozen=True)
class SolvedRung:
    """The pieces of one rung, or of the anchors, as steps.py left them: their folder, their records in order."""

    folder: Path
    records: list[PieceRecord]

    @property
    def windows(self) -> int:
        """Held, in all pieces."""
        return sum(record.windows for record in self.records)

    @property
    def cut(self) -> int:
        """High bits of a hash that tell its piece."""
        return len(self.records).bit_length() - 1


def write_solved(
    path: Path, rungs: Sequence[SolvedRung], attributes: Attributes, *, rungs_of_ladder: int
) -> tuple[FileRecord, list[np.ndarray]]:
    """Write one file: temporary name, fsync, rename.

    Args:
        rungs: of the ladder, then the anchors if there are any. attributes: format.solved_attributes.

    Returns:
        Its record, and of each of `rungs` (p, 16) uint8 digests of its tables in this file.

    Raises:
        StorageError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(path.name + ".tmp")
    file, files = (int(attributes[name]) for name in ("file", "files"))
    digests: list[np.ndarray] = []
    try:
        with writing(path), Sink(temporary, "w+") as sink:
            with h5py.File(sink, "w", libver="latest", **_ALIGNED) as opened:
                write_attributes(opened, attributes)
                for index, rung in enumerate(rungs):
                    part = pieces_of(file, files=files, pieces=len(rung.records))
                    group = opened.create_group(solved_group(index, rungs_of_ladder))
                    digests.append(_write_rung(group, rung, part))
            if sink.error is not None:
                raise sink.error
            os.fsync(sink.fileno())
        record = FileRecord(path.name, temporary.stat().st_size, file_digest(temporary))
        with writing(path):
            temporary.rename(path)
            sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return record, digests


def _write_rung(group: h5py.Group, rung: SolvedRung, part: range) -> np.ndarray:
    shapes = np.array([rung.records[piece].shape for piece in part], "<u8").reshape(-1, COLUMNS)
    tables = [np.load(words_path(rung.folder, piece), mmap_mode="r") for piece in part]
    words, at = group.create_dataset("words", (sum(map(len, tables)),), "<u8"), 0
    digests = np.empty((len(part), 16), np.uint8)
    for row, table in enumerate(tables):
        words[at : at + len(table)] = table
        at += len(table)
        digests[row] = array_digest(table, shapes[row])
    group["pieces"], group["digests"] = shapes, digests
    return digests
