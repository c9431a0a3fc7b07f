"""Workspace: the directory in which a build grows until it is committed, and from which a stopped one goes on.

Covers: what is being built, what is done, fencing of overlapping attempts, what a failure leaves. Does not cover:
running a build (build.py), room on the disk (room.py).

`.NAME.memo.building/` holds `build.json` (the statement of what is built), `sources.jsonl` (the files of its corpus, as
they were), `attempt` (the token of the newest attempt), `tokenizer.json`, `batches/` (what this run keeps), `runs/`
(sorted runs: what is done), then shard files with `merged/` (a record of each that is whole) and, last,
`manifest.json`: from then on it is a whole memory; of a change, but for the batches that the memory has already. A
model without a ledger has no runs: its shard files and manifest are checkpoints of the splits that are done. Shard
files carry their generation and attempt in their names and are never changed; files that the manifest does not list are
removed after it. Whoever claims the workspace last owns it: an older attempt finds another token, and can make no
checkpoint and commit nothing; what runs it still makes are those that this one would.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cluster.corpus_stamp import SOURCES_FILE
from cluster.statement import BuildStatement, ChangeStatement, Statement, require_same
from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import DamagedMemoryError, FencedError, MemoError
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.generations import locked, replace_generation, shard_files, sweep_batches
from memo_dist.files.journal import Entry
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, BatchRecord, Manifest, ShardRecord
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.files.staging import refuse_existing, write_contents
from memo_dist.json_text import parse_json
from memo_dist.memory_config import MemoryConfig
from memo_dist.tokenizer import Tokenizer

STATEMENT_FILE = "build.json"
_ATTEMPT_FILE, _RUNS_FOLDER, _MERGED_FOLDER = "attempt", "runs", "merged"
Written = list[tuple[ShardRecord, np.ndarray]]


def workspace_path(out: Path) -> Path:
    """Where a build of `out` grows: beside it, so that committing it is a rename."""
    named = out if out.name else out.absolute()  # "." has no name
    return named.with_name(f".{named.name}.building")


def unfinished_statement(out: Path) -> dict[str, Any] | None:
    """The statement of a stopped build of `out` that had done something; None if there is nothing to go on from.

    Raises:
        DamagedMemoryError: there is one and it cannot be read.
    """
    path = workspace_path(out)
    if not _has_progress(path) or not (path / STATEMENT_FILE).exists():
        return None
    try:
        statement: dict[str, Any] = parse_json((path / STATEMENT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedMemoryError(
            f"{path / STATEMENT_FILE}, left by a stopped build, cannot be read ({error}); remove {path} to start anew"
        ) from error
    return statement


class Workspace:
    """One attempt's hold on the directory of a build.

    Args:
        out: the memory to be made; with `replaces`, a memory that is there, of which a new generation is made.
        statement: what is built; kept for the attempts to come.
        tokenizer: written at once; None for token ids.

    Attributes:
        path: the directory.
        generation: number of the last checkpoint, 0 before the first.

    Raises:
        OutputExistsError: `out` exists. StorageError: the directory cannot be made.
        ConfigError: it holds a checkpoint of something else; nothing is changed.
    """

    def __init__(
        self, out: Path, statement: Statement, tokenizer: Tokenizer | None, *, replaces: Manifest | None = None
    ) -> None:
        self.out, self.path, self._replaces = out, workspace_path(out), replaces
        if replaces is None:
            refuse_existing(out)
        self._tokenizer, self._token, self._given_up = tokenizer, secrets.token_hex(4), False
        self._made = [parent for parent in out.absolute().parents if not parent.exists()]
        with writing(out):
            self.path.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                found = unfinished_statement(out)
                if found is None:  # what was done is of nobody knows what
                    self.discard()
                else:  # also of an attempt that began, and was stopped, after this one looked for one
                    require_same(statement.to_dict(), found, out, place=self.path, what_stopped="command")
                if tokenizer is not None:  # another one that is trained on the same text may differ
                    write_text(self.path / TOKENIZER_FILE, tokenizer.definition)
                if isinstance(statement, BuildStatement | ChangeStatement):
                    statement.corpus.write(self.path)
                write_text(self.path / STATEMENT_FILE, json.dumps(statement.to_dict(), indent=1) + "\n")
                write_text(self.path / _ATTEMPT_FILE, self._token)
        self.generation = self._last_generation()

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a manifest."""
        return (self.path / MANIFEST_FILE).exists()

    @property
    def resumable(self) -> bool:
        """Whether something is done that another attempt need not do again."""
        return _has_progress(self.path)

    @property
    def runs(self) -> Path:
        """The folder for sorted runs."""
        return self.path / _RUNS_FOLDER

    @property
    def stopped(self) -> Path:
        """A file that says, once it is there, that this attempt makes no more runs."""
        return self.runs / f"stopped-{self._token}.tmp"

    @property
    def merged(self) -> Path:
        """The folder for the records of shard files that are merged."""
        return self.path / _MERGED_FOLDER

    @property
    def batches(self) -> Path:
        """The folder for the batches that are kept."""
        return self.path / BATCHES_FOLDER

    def discard(self, *, for_good: bool = False) -> None:
        """Give up what was done: it must not be gone on from; for good, nor what a task under way still adds to it."""
        self._given_up = for_good
        (self.path / MANIFEST_FILE).unlink(missing_ok=True)
        for folder in (self.merged, self.runs):
            shutil.rmtree(folder, ignore_errors=True)

    def stored(self) -> OpenMemory:
        """The last checkpoint as a memory."""
        return open_memory(self.path)

    def shard_file(self, index: int) -> str:
        """A name for the next checkpoint's shard file of that number."""
        return f"shard-{index:05d}.g{self.generation + 1:04d}-{self._token}.h5"

    def shard_files(self, count: int) -> list[str]:
        """Names for all of them."""
        return [self.shard_file(index) for index in range(count)]

    def checkpoint(
        self,
        config: MemoryConfig,
        written: Written,
        *,
        tokens: int,
        documents: int,
        journal: list[Entry],
        batches: Sequence[BatchRecord] | None = None,
    ) -> Manifest:
        """Make shard files that are written the checkpoint, durably; then remove those of the one before.

        Args:
            written: of every shard, in bank order: its record and its banks' digests.
            tokens, documents: that the shards hold.
            journal: of the memory, this run's entry last.
            batches: kept, written here or held by the memory that is changed; None: the memory keeps none.

        Raises:
            FencedError: a newer attempt owns the workspace; nothing is changed.
            StorageError: the manifest cannot be written; the checkpoint before stays.
        """
        with self.owned():
            if self.batches.is_dir():
                sync_directory(self.batches)
            manifest = write_contents(
                self.path,
                config,
                self._tokenizer,
                shards=written,
                tokens=tokens,
                documents=documents,
                sources=journal,
                keeps_tokens=batches is not None,
                batches=batches or (),
            )
            self.generation += 1
            self._sweep(manifest)
        return manifest

    def seal(self, write: Callable[[], Manifest]) -> Manifest:
        """Write files, then their manifest, durably; errors as for `checkpoint`."""
        with self.owned():
            manifest = write()
            manifest.write(self.path)
            return manifest

    def commit(self) -> None:
        """Make the last checkpoint the output: by renaming the workspace, or as the output's new generation.

        Raises:
            FencedError: a newer attempt owns the workspace.
            OutputExistsError: the output appeared meanwhile. ConfigError: the memory was changed meanwhile.
        """
        with self.owned():
            for folder in (self.merged, self.runs):  # the manifest is there, which says that they are done
                shutil.rmtree(folder, ignore_errors=True)
            if self._replaces is not None:
                replace_generation(self.out, self._replaces, self.path)
                shutil.rmtree(self.path, ignore_errors=True)  # other files in it are of an older generation
                return
            refuse_existing(self.out)
            with writing(self.out):
                sync_directory(self.path)
                self.path.rename(self.out)
                sync_directory(self.out.parent)
                for name in (_ATTEMPT_FILE, STATEMENT_FILE, SOURCES_FILE):
                    (self.out / name).unlink(missing_ok=True)

    def abandon(self) -> bool:
        """After a failure: remove the workspace if nothing is done in it and it is still ours. Whether it is kept."""
        if not self._ours():
            return False
        if self.resumable and not self._given_up:
            if self.has_checkpoint:
                with suppress(OSError, MemoError):
                    self._sweep(Manifest.read(self.path))
            return True
        shutil.rmtree(self.path, ignore_errors=True)
        for parent in self._made:
            with suppress(OSError):  # somebody else uses it by now
                parent.rmdir()
        return False

    def fenced(self) -> FencedError | None:
        """The error to raise if a newer attempt has taken over, whatever went wrong here because of it."""
        if self._ours():
            return None
        newer = f"another attempt to build {self.out} was started after this one and goes on with it"
        return FencedError(f"{newer}; this one stops and has changed nothing")

    def _ours(self) -> bool:
        try:
            return (self.path / _ATTEMPT_FILE).read_text() == self._token
        except OSError:  # the other attempt has committed
            return False

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the lock, so that nobody takes it over meanwhile; FencedError if somebody has."""
        try:
            with locked(self.path):
                if error := self.fenced():
                    raise error
                yield
        except FileNotFoundError as error:  # the other attempt has committed: the directory is gone
            raise self.fenced() or error from error

    def _last_generation(self) -> int:
        return max((int(path.name.split(".g")[1][:4]) for path in self.path.glob("shard-*.g*.h5")), default=0)

    def _sweep(self, manifest: Manifest) -> None:
        kept = set(shard_files(manifest))
        for file in (file for file in self.path.glob("shard-*") if file.name not in kept):
            file.unlink(missing_ok=True)
        sweep_batches(self.path, {record.file for record in manifest.batches})


@contextmanager
def kept_or_removed(workspace: Workspace) -> Iterator[None]:
    """After a failure: keep the checkpoint and say so in a note, or leave nothing."""
    try:
        yield
    except BaseException as error:
        if fenced := workspace.fenced():
            raise fenced from error
        kept = workspace.abandon()
        error.add_note(
            "What was done is kept; the same command goes on from there." if kept else "Nothing was published."
        )
        raise


def _has_progress(path: Path) -> bool:
    """Whether there is a manifest, a run, or a shard file that is whole."""
    if (path / MANIFEST_FILE).exists():
        return True
    for folder in (_RUNS_FOLDER, _MERGED_FOLDER):
        with suppress(OSError):
            if any(not one.name.endswith(".tmp") for one in (path / folder).iterdir()):
                return True
    return False
