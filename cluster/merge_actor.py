"""MergeActor: merges sorted runs and ledgers into shard files, one range of banks after the other.

Covers: what an actor is told, opening its sources. Does not cover: merging itself (memo_dist/runs/merging.py,
segmenting.py), which ranges there are (merge_phase.py).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event

import numpy as np
from threadpoolctl import threadpool_limits

from cluster.actor import peak_resident_bytes
from memo_dist.device.backend import array_module
from memo_dist.files.manifest import Manifest, ShardRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.segment_reader import SegmentReader
from memo_dist.files.segmented_shard import segment_files
from memo_dist.models.text.config import TextConfig
from memo_dist.runs.held_run import HeldRows
from memo_dist.runs.merging import HeldSource, MergeOrder, merge_into
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_folder import RunFolder, run_folders
from memo_dist.runs.segmenting import SegmentSource, segment_into


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is merged.

    Attributes:
        runs: folder of sorted runs; None: there are none.
        memories: directories whose ledgers are added. held: runs that are in no files.
    """

    runs: str | None = None
    memories: tuple[str, ...] = ()
    held: tuple[HeldRows, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MergeSpec:
    """What all files of a memory have in common.

    Attributes:
        sources: what is merged. applied: ids of all batches in them.
        config, tokenizer_hash: of the memory.
        rows: of all sources, about. slice_rows: of them that are added up at a time.
        device: "cpu" or "gpu"; see placement.device_for. threads: of numerical libraries.
        open_files: of runs, that stay open during a merge.
        beside: how many segments of the one memory stay when what is merged is written beside it, as a segment that
            takes in the later ones; None: shard files are written.
    """

    sources: Sources
    applied: frozenset[str]
    config: TextConfig
    tokenizer_hash: str
    rows: int
    slice_rows: int
    device: str = "cpu"
    threads: int = 1
    open_files: int = 0
    beside: int | None = None


class MergeActor:
    """Writes shard files. Methods run one at a time.

    Args:
        spec: what they have in common.
    """

    def __init__(self, spec: MergeSpec) -> None:
        threadpool_limits(spec.threads)
        self._spec, self._files, self._ended = spec, OpenFiles(spec.open_files), Event()

    @cached_property
    def _runs(self) -> list[RunFolder]:
        runs = self._spec.sources.runs
        return [] if runs is None else run_folders(Path(runs), self._files)

    def merge(self, path: str, banks: range) -> tuple[ShardRecord, np.ndarray]:
        """Write the file of some banks; see merge_into."""
        spec = self._spec
        order = MergeOrder(
            config=spec.config,
            tokenizer_hash=spec.tokenizer_hash,
            banks=banks,
            rows=spec.rows * len(banks) // spec.config.num_banks,
            slice_rows=spec.slice_rows,
            xp=array_module(spec.device),
            ended=self._ended,
        )
        with ExitStack() as opened:  # no file is open between two merges, or after one that failed
            opened.callback(self._files.close)
            if spec.beside is not None:
                return self._segment(Path(path), order, opened)
            held = [HeldSource(opened.enter_context(open_memory(memory))) for memory in spec.sources.memories]
            return merge_into(Path(path), [*held, *self._runs, *spec.sources.held], order, applied=set(spec.applied))

    def _segment(self, path: Path, order: MergeOrder, opened: ExitStack) -> tuple[ShardRecord, np.ndarray]:
        """Write what the runs change in the banks of a shard file."""
        spec = self._spec
        directory = Path(spec.sources.memories[0])
        manifest = Manifest.read(directory)
        held, *later = segment_files(directory, manifest, order.banks, stay=spec.beside or 0)
        for file in (held, *later):
            opened.callback(file.close)
        earlier = [file for file in later if isinstance(file, SegmentReader)]
        sources = [SegmentSource(file) for file in earlier]
        applied = set(spec.applied).union(*(file.applied() for file in earlier))
        return segment_into(path, held, [*sources, *self._runs, *spec.sources.held], order=order, applied=applied)

    def end(self) -> None:
        """Called from another thread: let the merge that runs end at its next slice."""
        self._ended.set()

    def peak_bytes(self) -> int:
        """The process's largest resident set so far."""
        return peak_resident_bytes()
