"""FilesProgress: how far a command is that makes files out of memories, for `memo-dist status`.

Covers: merge, rebank, compact, publish as solved. Does not cover: runs over texts (run.py), the file that is written
(progress_file.py), reading it (build_status.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from cluster.progress_file import ProgressFile
from cluster.run_state import Held, RunState
from memo_dist.files.manifest import Manifest


class Shared(Protocol):
    """Progress that is told as a share of the whole, in [0, 1]."""

    @property
    def share(self) -> float: ...


Told = TypeVar("Told", bound=Shared)


class FilesProgress:
    """Keeps the record of one command, in its workspace.

    Args:
        folder: the workspace. action: of the command. manifest: of what is made; its tokens and documents are told.
        files: how many are made, or how many steps it takes, if that is known; 0: something is counted first.
        phase: in which they are made; see ProgressRecord.
    """

    def __init__(self, folder: Path, action: str, manifest: Manifest, *, files: int = 0, phase: str = "merge") -> None:
        self._state = RunState(0, forgets=False, checkpoint_every=60.0)
        self._state.begin(Held(tokens=manifest.tokens, documents=manifest.documents))
        self._state.progress.files = files
        self._file = ProgressFile(folder, action, self._state, phase=phase)

    @contextmanager
    def kept(self) -> Iterator["FilesProgress"]:
        """Keep the record while the block runs; it is gone after it, or says why the block ended."""
        with self._file.kept():
            yield self

    def on_file(self, done: int, files: int, fresh: bool) -> None:
        """Hear how many files are done; see MergePhase."""
        del fresh
        self._state.progress.files_done, self._state.progress.files = done, files

    def on_share(self, on_progress: Callable[[Told], None]) -> Callable[[Told], None]:
        """What hears how far the command is, as `on_progress` does, and keeps it as steps that are done."""

        def heard(told: Told) -> None:
            self._state.progress.files_done = int(told.share * self._state.progress.files)
            on_progress(told)

        return heard
