"""Steps of publishing: a kept batch -> a sorted run of the windows that a rung needs; runs -> one solved piece.

Covers: each step, with the files that it leaves, whole or not at all. Does not cover: which steps there are, and where
they run (cluster/publish.py), the published files (writer.py).

    emitted/BATCH.arrow             (window, next token) pairs of one rung in one batch, sorted and counted (runs)
    piece-00000.words.npy           a table: its rows, packed
    piece-00000.ambiguous.npy       hashes of its ambiguous windows, sorted
    piece-00000.json                the record, written last: how many windows, the table's shape
What a step leaves follows from what it is given, so that one that is done again changes nothing.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from memo_dist.batches import read_batch
from memo_dist.durable import sync_file, write_text, writing
from memo_dist.files.kept_batches import read_kept
from memo_dist.files.manifest import BatchRecord
from memo_dist.json_text import parse_json
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT, Associations
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.keys import ANCHOR_EVERY
from memo_dist.models.text.ledger import NO_ENTRIES, counted, summed
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_file import read_run_file, write_run_file
from memo_dist.shard import owned
from memo_dist.solved.ladder import anchored, needed, settle
from memo_dist.solved.table import make_piece
from memo_dist.solved.values import ValueLayout

LARGEST_PIECE = 1 << 19  # windows


@dataclass(frozen=True)
class PieceRecord:
    """What is solved of one piece: how many windows, how many of them ambiguous, PieceShape.row."""

    windows: int
    ambiguous: int
    shape: list[int]

    @classmethod
    def read(cls, path: Path) -> "PieceRecord | None":
        """The record of a piece that is there; None if it is not."""
        try:
            return cls(**parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Emission:
    """What batches are read for.

    Attributes:
        memory, vocab_size: whose kept batches they are.
        folder: for the runs. rung: of the ladder; None: anchors.
        ambiguous: file of the rung before; "" for the first.
        anchors: one window of so many is one.
    """

    memory: str
    vocab_size: int
    folder: str
    rung: int | None
    ambiguous: str = ""
    anchors: int = ANCHOR_EVERY


def emit(record: BatchRecord, encoder: HashedEncoder, what: Emission) -> int:
    """Write the run of one kept batch; how many places it had.

    Raises:
        DamagedMemoryError: the batch is not whole. StorageError: the run cannot be written.
    """
    batch = read_kept(Path(what.memory) / "batches", record, what.vocab_size)
    segments = owned(list(read_batch(batch, encoder.config)))
    if what.rung is None:
        found = list(anchored(segments, encoder, every=what.anchors))
    else:
        ambiguous = np.load(what.ambiguous, mmap_mode="r") if what.ambiguous else None
        reaching = encoder.with_windows(encoder.config.windows[: what.rung + 1])  # longer ones change no key
        found = list(needed(segments, reaching, rung=what.rung, ambiguous=ambiguous))
    names = np.concatenate([NO_ENTRIES.names, *(one.names for one in found)])
    pairs = Associations(names, np.concatenate([NO_ENTRIES.tokens, *(one.tokens for one in found)]))
    path = run_path(Path(what.folder), record)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            write_run_file(temporary, counted(pairs))
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(pairs)


def run_path(folder: Path, record: BatchRecord) -> Path:
    """The run of a batch."""
    return folder / record.file.replace(".parquet", ".arrow")


@dataclass(frozen=True, kw_only=True)
class Solving:
    """What pieces are solved of.

    Attributes:
        runs: files. folder: for pieces. cut: high bits of a hash that tell its piece.
        layout: of values.
        numbers: of anchors, (n,) rising uint32 that documents are numbered by; None: tokens are numbers.
    """

    runs: Sequence[str]
    folder: str
    cut: int
    layout: ValueLayout
    numbers: np.ndarray | None = None


def solve_piece(what: Solving, piece: int) -> PieceRecord:
    """Write one piece.

    Raises:
        DamagedMemoryError: a run cannot be read. StorageError: the piece cannot be written.
    """
    salt = TOKEN_SALT if what.numbers is None else DOCUMENT_SALT
    settled = settle(
        summed([read_run_file(Path(run), *_range(piece, what.cut), files=OpenFiles()) for run in what.runs]), salt=salt
    )
    numbers = settled.tokens if what.numbers is None else np.searchsorted(what.numbers, settled.tokens)
    made = make_piece(settled.hashes, numbers.astype(np.int64), settled.ambiguous, layout=what.layout, shift=what.cut)
    record = PieceRecord(len(settled), int(settled.ambiguous.sum()), made.shape.row().tolist())
    base = Path(what.folder)
    _save(words_path(base, piece), made.words)
    _save(ambiguous_path(base, piece), settled.hashes[settled.ambiguous])
    with writing(record_path(base, piece)):
        write_text(record_path(base, piece), json.dumps(asdict(record)), shared=True)
    return record


def count_windows(runs: Sequence[str], salt: int = TOKEN_SALT) -> int:
    """About how many distinct windows runs have: those of a sixteenth of all hashes, times 16."""
    settled = settle(summed([read_run_file(Path(run), 0, 1 << 60, files=OpenFiles()) for run in runs]), salt=salt)
    return 16 * len(settled)


def cut_for(windows: int) -> int:
    """High bits of a hash that tell its piece, so that none has more than about LARGEST_PIECE windows."""
    return (max(1, -(-windows // LARGEST_PIECE)) - 1).bit_length()


def words_path(folder: Path, piece: int) -> Path:
    """A table's rows."""
    return folder / f"piece-{piece:06d}.words.npy"


def ambiguous_path(folder: Path, piece: int) -> Path:
    """A piece's ambiguous windows."""
    return folder / f"piece-{piece:06d}.ambiguous.npy"


def record_path(folder: Path, piece: int) -> Path:
    """A piece's record."""
    return folder / f"piece-{piece:06d}.json"


def _range(piece: int, cut: int) -> tuple[int, int]:
    return piece << (64 - cut), (piece + 1) << (64 - cut)


def _save(path: Path, array: np.ndarray) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            with open(temporary, "wb") as handle:
                np.save(handle, array)
            sync_file(temporary)
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
