"""BuildStatus: what is known, from elsewhere, of a build, a change or another command that makes a memory.

Covers: one that is under way, stopped or lost, by what its workspace holds. Does not cover: writing that
(progress_file.py, workspace.py).
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.progress_file import ALIVE_SECONDS, PROGRESS_FILE, ProgressRecord
from cluster.workspace import STATEMENT_FILE, workspace_path
from memo_dist.errors import InputError
from memo_dist.files.manifest import MANIFEST_FILE
from memo_dist.json_text import parse_json

_PATIENCE = 6 * ALIVE_SECONDS  # a writer whose record is older has gone, or its disk is very slow

_START_SECONDS = 120.0  # that processes take to start, and files to be put in place, at most


@dataclass(frozen=True, kw_only=True)
class BuildStatus:
    """A build or a change.

    Attributes:
        memory: the directory that is made or changed.
        state: "none" (nothing is under way), "starting" (its processes are being started), "running", "finishing" (what
            it made is being put in place), "stopped" (as asked), "failed", or "lost" (its process says nothing more: it
            was killed, or the machine is gone).
        there: whether the memory is there.
        action: "build", "add", "forget", "merge", "rebank", "compact" or "publish"; None if nothing is under way.
        phase, splits, splits_done, tokens, documents, files, files_done, losses, attempts: as in ProgressRecord; None
            where no record was left.
        tokens_per_second: of this attempt, while splits are done.
        seconds: that this process has worked. seconds_left: of the phase, if it goes on so; None: not known yet.
        silent_seconds: since the record was written.
        pid, host: of the process. error: why it stopped or failed.
    """

    memory: str
    state: str
    there: bool
    action: str | None = None
    phase: str | None = None
    splits: int | None = None
    splits_done: int | None = None
    tokens: int | None = None
    documents: int | None = None
    files: int | None = None
    files_done: int | None = None
    losses: int | None = None
    attempts: int | None = None
    tokens_per_second: float | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    silent_seconds: float | None = None
    pid: int | None = None
    host: str | None = None
    error: str | None = None


def status_of(memory: Path, *, now: float | None = None) -> BuildStatus:
    """What is known of the build or change of a memory.

    Args:
        now: seconds since 1970; None: now.

    Raises:
        InputError: there is neither such a memory nor a build of one.
    """
    place, there = workspace_path(memory), memory.exists()
    if not place.is_dir():
        if not there:
            raise InputError(f"{memory} is not there, nor is a build of it; expected a memory directory, M.memo")
        return BuildStatus(memory=str(memory), state="none", there=True)
    record = _record(place / PROGRESS_FILE)
    moment = time.time() if now is None else now
    claimed = _claimed(place)
    if record is None or claimed > record.updated:  # what an attempt before has left is no news
        made = record is None and (place / MANIFEST_FILE).exists()  # the record goes a moment before the rename
        latest = (place / MANIFEST_FILE).stat().st_mtime if made else claimed
        state = "finishing" if made else "starting"
        if moment - latest > _START_SECONDS:
            state = "lost"
        return BuildStatus(memory=str(memory), state=state, there=there, action=_action(place))
    silent = max(0.0, moment - record.updated)
    state = "lost" if record.state == "running" and silent > _PATIENCE else record.state
    running = record.updated - record.phase_began if record.phase != "splits" else record.updated - record.began
    speed, left = _pace(record, running)
    return BuildStatus(
        memory=str(memory),
        state=state,
        there=there,
        action=record.action,
        phase=record.phase,
        splits=record.splits,
        splits_done=record.splits_done,
        tokens=record.tokens,
        documents=record.documents,
        files=record.files,
        files_done=record.files_done,
        losses=record.losses,
        attempts=record.attempts,
        tokens_per_second=speed,
        seconds=record.updated - record.began,
        seconds_left=left if state == "running" else None,
        silent_seconds=silent,
        pid=record.pid,
        host=record.host,
        error=record.error,
    )


def _pace(record: ProgressRecord, seconds: float) -> tuple[float | None, float | None]:
    """Tokens a second while splits are done, and seconds left of the phase."""
    if record.phase == "splits":
        done, missing = record.splits_done - record.splits_before, record.splits - record.splits_done
        speed = abs(record.tokens - record.tokens_before) / seconds if seconds > 0 and done else None
    else:
        done, missing, speed = record.files_done - record.files_before, record.files - record.files_done, None
    return speed, seconds / done * missing if done > 0 and record.phase != "count" else None


def _record(path: Path) -> ProgressRecord | None:
    """None where there is none, or one of another version."""
    with suppress(OSError, ValueError, TypeError):
        return ProgressRecord(**parse_json(path.read_text(encoding="utf-8")))
    return None


def _claimed(place: Path) -> float:
    """When the newest attempt took the workspace, in seconds since 1970; 0 if nothing says so."""
    with suppress(OSError):
        return (place / STATEMENT_FILE).stat().st_mtime
    return 0.0


def _action(place: Path) -> str | None:
    with suppress(OSError, ValueError):
        statement: dict[str, Any] = parse_json((place / STATEMENT_FILE).read_text(encoding="utf-8"))
        return str(statement.get("action", "build"))
    return None
