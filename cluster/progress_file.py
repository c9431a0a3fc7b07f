"""ProgressFile: how far a run is, in a file of its workspace, for whoever looks from elsewhere.

Covers: the record, writing it while the run works. Does not cover: reading it (build_status.py), how far the run is
(run_state.py).

`progress.json` in the workspace is replaced by a rename, once a second at most while there is news, and every few
seconds without, so that a record that is older says that its writer has gone. It tells nothing that a run goes on from,
and is removed before the workspace becomes a memory.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.run_state import RunState

PROGRESS_FILE = "progress.json"
NEWS_SECONDS = 1.0
ALIVE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class ProgressRecord:
    """How far a run is.

    Attributes:
        action: "build", "add" or "forget"; "merge", "rebank", "compact" or "publish"; "make-runs" or
            "merge-runs" of an array's task.
        state: "running", "stopped", "failed"; of a task also "done". error: why it stopped or failed.
        pid, host: of the process that runs it.
        began: of this process's run, seconds since 1970. phase_began: of the phase. updated: when this was written.
        phase: "splits" (text becomes sorted runs, or goes to shards), "count" (of banks), "merge" (into files) or
            "solve" (into tables, in so many steps as are told as files).
        splits, splits_done, splits_before: of the run; done; done by earlier attempts.
        tokens, documents: of the memory so far. tokens_before: when this attempt began.
        files, files_done, files_before: of the memory, once they are written; likewise.
        losses: processes or nodes lost. attempts: of this process.
    """

    action: str
    state: str
    error: str | None = None
    pid: int
    host: str
    began: float
    phase_began: float
    updated: float
    phase: str
    splits: int
    splits_done: int
    splits_before: int
    tokens: int
    tokens_before: int
    documents: int
    files: int
    files_done: int
    files_before: int
    losses: int
    attempts: int


class ProgressFile:
    """Keeps the record of one run.

    Args:
        folder: the workspace. action: of the run. state: its counters.
        name: of the file. phase: in which files are made.
        stays: whether it stays when the run is done, and says so.
    """

    def __init__(
        self,
        folder: Path,
        action: str,
        state: RunState,
        *,
        name: str = PROGRESS_FILE,
        stays: bool = False,
        phase: str = "merge",
    ) -> None:
        self._path, self._action, self._state, self._stays = folder / name, action, state, stays
        self._began = self._phase_began = time.time()
        self._phase, self._attempt, self._last_phase = "splits", 0, phase
        self._tokens_before = self._files_before = 0
        self._latest: dict[str, Any] = {}
        self._written = 0.0
        self._ends = threading.Event()

    def record(self, state: str = "running", error: str | None = None) -> ProgressRecord:
        """How far the run is now."""
        run, progress, now = self._state, self._state.progress, time.time()
        if run.attempts != self._attempt:
            self._attempt, self._tokens_before = run.attempts, progress.tokens
        phase = self._last_phase if progress.files else "count" if progress.splits_done >= progress.splits else "splits"
        if phase != self._phase:
            self._phase, self._phase_began, self._files_before = phase, now, progress.files_done
        return ProgressRecord(
            action=self._action,
            state=state,
            error=error,
            pid=os.getpid(),
            host=socket.gethostname(),
            began=self._began,
            phase_began=self._phase_began,
            updated=now,
            phase=phase,
            splits=progress.splits,
            splits_done=progress.splits_done,
            splits_before=progress.splits_before,
            tokens=progress.tokens,
            tokens_before=self._tokens_before,
            documents=progress.documents,
            files=progress.files,
            files_done=progress.files_done,
            files_before=self._files_before,
            losses=run.losses,
            attempts=run.attempts,
        )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the file while the block runs; it is gone after it, or says why the block ended."""
        self._write(self.record())
        writer = threading.Thread(target=self._keep, name="progress file", daemon=True)
        writer.start()
        try:
            yield
        except BaseException as error:
            self._end(writer)
            stopped = type(error).__name__ in ("StoppedError", "KeyboardInterrupt")
            self._write(self.record("stopped" if stopped else "failed", str(error) or type(error).__name__))
            raise
        self._end(writer)
        if self._stays:
            self._write(self.record("done"))
        else:
            self._path.unlink(missing_ok=True)

    def _end(self, writer: threading.Thread) -> None:
        self._ends.set()
        writer.join()

    def _keep(self) -> None:
        while True:
            record = self.record()
            news = {name: value for name, value in asdict(record).items() if name != "updated"}
            if news != self._latest or record.updated - self._written >= ALIVE_SECONDS:
                self._latest, self._written = news, record.updated
                self._write(record)
            if self._ends.wait(NEWS_SECONDS):
                return

    def _write(self, record: ProgressRecord) -> None:
        """Whatever the disk says, the run goes on."""
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")  # two of one task may be at work
        with suppress(OSError):
            temporary.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
            temporary.rename(self._path)
