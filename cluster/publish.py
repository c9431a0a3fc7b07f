"""Publish: a memory that can change -> a solved memory, for recall only (design-2 section 4).

Covers: passes over the kept batches, rung by rung, on threads or a Ray cluster; going on after a stop. Does not cover:
each step (memo_dist/solved), publishing sums (memo_dist/files/published_writer.py).

    for each rung:   kept batches --> runs of the windows that the rung needs --> solved pieces
                     the ambiguous windows of its pieces, in one file, tell the batches what the next rung needs
    then the anchors, in the same way; files of tables, documents and the manifest.
What is done is what runs and pieces are there. Every step follows from what it is given, so it does not matter who made
it, or how often: the memory's digest depends on the documents and the settings alone.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from dask.delayed import delayed

from cluster.executor import Executor
from cluster.files_progress import FilesProgress
from cluster.machine import machines_for
from cluster.resources import Resources
from cluster.run_maker import RunMaker
from cluster.session import WorkPlan, connected, runs_in_process, session
from cluster.signals import StopRequest, stop_on_sigterm
from cluster.statement import PublishStatement
from cluster.workspace import Workspace, kept_or_removed
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, StoppedError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.models import encoder_for
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.keys import ANCHOR_EVERY
from memo_dist.reflections.layout import holds_reflections
from memo_dist.solved.ladder import DEFAULT_LADDER
from memo_dist.solved.memory import SolvedSettings, write_document_names, write_solved_memory
from memo_dist.solved.steps import (
    Emission,
    PieceRecord,
    Solving,
    ambiguous_path,
    count_windows,
    cut_for,
    emit,
    record_path,
    run_path,
    solve_piece,
)
from memo_dist.solved.values import MOST_CHECK_BITS, ValueLayout
from memo_dist.solved.writer import SolvedRung

_WORKER_BYTES = 400_000_000  # of a task: a batch with its keys, or the rows of a piece
_WINDOWS_OF_A_FILE = 1 << 28  # about 800 MB
_SMALL_DIM = 64  # a solved memory has no banks


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """What the command line gives; see `memo-dist publish --help`.

    Attributes:
        windows: the ladder's rungs, in units; None: DEFAULT_LADDER, as far as the memory's own windows reach.
        check_bits: of a value. anchors: of so many windows of the anchor rung one names its document; 0: none does.
        files: of tables, at least, among which bank servers are divided; the digest does not depend on it.
    """

    resources: Resources = field(default_factory=Resources)
    windows: tuple[int, ...] | None = None
    check_bits: int = 8
    anchors: int = ANCHOR_EVERY
    files: int = 1


@dataclass(frozen=True)
class PublishProgress:
    """How far it is: `share` in [0, 1], and `steps` done, batches read and pieces solved."""

    share: float
    steps: int


OnProgress = Callable[[PublishProgress], None]


def publish_solved(
    memory: Path,
    out: Path,
    options: PublishOptions,
    *,
    named: Path | str | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Manifest:
    """Publish a memory, solved; `memory` is not changed.

    Args:
        named: what the journal calls the memory; None: `memory`.

    Raises:
        ConfigError: the memory is published already, keeps no tokens, is of another preset, or a setting is bad.
        DamagedMemoryError: the memory is not whole. OutputExistsError, StorageError: `out` cannot be written.
        StoppedError: a stop was asked for; what is done is kept.
    """
    with open_memory(memory) as opened, connected(options.resources):
        config = _config(opened, options)
        statement = PublishStatement(
            memory=str(memory),
            digest=opened.manifest.digest,
            windows=list(config.windows),
            check_bits=options.check_bits,
            anchors=options.anchors,
        )
        workspace = Workspace(out, statement, opened.tokenizer)
        with (
            kept_or_removed(workspace),
            stop_on_sigterm() as stop,
            session(options.resources, _plan(options.resources, opened.manifest)) as executor,
        ):
            work = _Publishing(
                opened, config, workspace, named=str(named or memory), options=options, executor=executor, stop=stop
            )
            told = FilesProgress(workspace.path, "publish", opened.manifest, files=work.phases, phase="solve")
            with executor.unwrapped(), told.kept():
                manifest = work.to_the_end(told.on_share(on_progress))
            workspace.commit()
            return manifest


def _config(opened: OpenMemory, options: PublishOptions) -> TextConfig:
    opened.require_working()
    config = opened.config
    if not isinstance(config, TextConfig):
        raise ConfigError(f"{opened.path} is of the preset {config.preset!r}; only memories of the preset text publish")
    if not opened.manifest.keeps_tokens:
        raise ConfigError(
            f"{opened.path} keeps no tokens (--no-keep-tokens), and a solved memory is made of these: give the texts "
            "that it was built from, --corpus PATH, or publish its sums: --form sums"
        )
    if options.anchors and (options.anchors < 0 or options.anchors % ANCHOR_EVERY):
        raise ConfigError(f"anchors is {options.anchors}; expected 0, or a multiple of {ANCHOR_EVERY}")
    if not 1 <= options.check_bits <= MOST_CHECK_BITS:
        raise ConfigError(f"--check-bits is {options.check_bits}; expected 1 to {MOST_CHECK_BITS}, such as 8")
    windows = config.windows if holds_reflections(config) else options.windows  # of cues, one alone is filled
    if windows is None:
        windows = tuple(w for w in DEFAULT_LADDER if w <= config.windows[-1]) or config.windows
    elif not config.reads_text and windows[-1] > config.windows[-1]:
        raise ConfigError(
            f"--windows reaches {windows[-1]} tokens, and the kept batches of {opened.path} have the context of "
            f"{config.windows[-1]}; give windows up to that"
        )
    return replace(config, windows=windows, num_banks=1, inner_dim=_SMALL_DIM)


def _plan(resources: Resources, manifest: Manifest) -> WorkPlan:
    machines = machines_for(resources)
    workers = max(1, min(machines.processors, machines.budget // _WORKER_BYTES))
    return WorkPlan(runs_in_process(resources, manifest.tokens), workers, store_bytes=100_000_000)


class _Publishing:
    """One attempt."""

    def __init__(
        self,
        opened: OpenMemory,
        config: TextConfig,
        workspace: Workspace,
        *,
        named: str,
        options: PublishOptions,
        executor: Executor,
        stop: StopRequest,
    ) -> None:
        self._opened, self._config, self._workspace, self._options = opened, config, workspace, options
        self._executor, self._stop = executor, stop
        self._named = named
        self._encoder = executor.put(encoder_for(config, opened.tokenizer))
        self.phases = 2 * (len(config.windows) + (options.anchors > 0))

    def to_the_end(self, on_progress: OnProgress) -> Manifest:
        """Make what is missing."""
        if self._workspace.has_checkpoint:  # all was done but to name it
            return Manifest.read(self._workspace.path)
        self._on_progress, self._phases, self._steps = on_progress, 0, 0
        rungs: list[SolvedRung] = []
        for index in range(len(self._config.windows)):
            layout = ValueLayout.of(self._config.vocab_size, self._options.check_bits)
            rungs.append(self._rung(index, layout))
        place = self._workspace.path
        lows = np.zeros(0, np.uint32)
        if self._options.anchors:
            with self._workspace.owned():
                lows = write_document_names(self._opened, place)
        if len(lows):
            layout = ValueLayout.of(len(lows) - 1, self._options.check_bits)
            rungs.append(self._rung(None, layout, numbers=lows))
        settings = SolvedSettings(
            memory=self._named,
            check_bits=self._options.check_bits,
            anchors=self._options.anchors,
            numbers=len(lows),
            files=self._options.files,
        )
        return self._workspace.seal(
            lambda: write_solved_memory(place, self._opened, self._config, rungs=rungs, settings=settings)
        )

    def _folder(self, rung: int | None) -> Path:
        folder = self._workspace.runs.absolute() / ("anchors" if rung is None else f"rung-{rung:02d}")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _rung(self, rung: int | None, layout: ValueLayout, numbers: np.ndarray | None = None) -> SolvedRung:
        folder = self._folder(rung)
        whole = folder / "cut"
        if not whole.exists():
            runs = self._emitted(rung, folder)
            salt = TOKEN_SALT if rung is not None else DOCUMENT_SALT
            (windows,) = self._executor.gather([delayed(count_windows, pure=False)(runs, salt)])
            cut = cut_for(windows)
            self._solved(rung, Solving(runs=runs, folder=str(folder), cut=cut, layout=layout, numbers=numbers))
            if rung is not None:
                _join_ambiguous(folder, 1 << cut)
            with self._workspace.owned(), writing(whole):  # a newer attempt reads the runs that it found
                write_text(whole, str(cut))  # the rung is done, and its runs are not needed any more
                shutil.rmtree(folder / "emitted", ignore_errors=True)
        records = [PieceRecord.read(record_path(folder, piece)) for piece in range(1 << int(whole.read_text()))]
        return SolvedRung(folder, [record for record in records if record is not None])

    def _emitted(self, rung: int | None, folder: Path) -> list[str]:
        """The runs of all kept batches."""
        place, kept = folder / "emitted", self._opened.kept
        with writing(place):
            place.mkdir(exist_ok=True)
        before = "" if not rung else str(self._folder(rung - 1) / "ambiguous.npy")
        what = Emission(
            memory=str(self._opened.path.absolute()),
            vocab_size=self._config.vocab_size,
            folder=str(place),
            rung=rung,
            ambiguous=before,
            anchors=self._options.anchors,
        )
        missing = [record for record in kept.records if not run_path(place, record).exists()]
        graphs = (delayed(partial(_emit, what=what), pure=False)(self._encoder, record) for record in missing)
        self._run(graphs, rung, step="reading", done=(len(kept.records) - len(missing), len(kept.records)))
        return [str(run_path(place, record)) for record in kept.records]

    def _solved(self, rung: int | None, what: Solving) -> None:
        folder, pieces = Path(what.folder), 1 << what.cut
        missing = [piece for piece in range(pieces) if PieceRecord.read(record_path(folder, piece)) is None]
        shared = self._executor.put(what)
        graphs = (delayed(solve_piece, pure=False)(shared, piece) for piece in missing)
        self._run(graphs, rung, step="solving", done=(pieces - len(missing), pieces))

    def _run(self, graphs: Iterator[object], rung: int | None, *, step: str, done: tuple[int, int]) -> None:
        at, total = done
        maker = RunMaker(graphs, executor=self._executor, most=total + 1, stop=self._stop)
        for found in maker:
            if found == []:  # a second without any
                continue
            at, self._steps = at + 1, self._steps + 1
            self._on_progress(PublishProgress((self._phases + at / total) / self.phases, self._steps))
        self._phases += 1
        if self._stop.requested and maker.unfinished:
            what = "anchors" if rung is None else f"windows of {self._config.windows[rung]}"
            raise StoppedError(f"stopped as asked, {step} {at} of {total} for {what}")


def _emit(encoder: Any, record: Any, what: Emission) -> int:
    return emit(record, encoder, what)


def _join_ambiguous(folder: Path, pieces: int) -> None:
    """The ambiguous windows of all pieces, in one file, sorted as pieces are."""
    parts = [np.load(ambiguous_path(folder, piece), mmap_mode="r") for piece in range(pieces)]
    path = folder / "ambiguous.npy"
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")  # another attempt may read the file
    try:
        with writing(path):
            joined = np.lib.format.open_memmap(temporary, "w+", np.uint64, (sum(map(len, parts)),))
            at = 0
            for part in parts:
                joined[at : at + len(part)] = part
                at += len(part)
            joined.flush()
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
