"""What is known, from elsewhere, of a build that is made by the tasks of an array.

Covers: its tasks by state, how far runs and files are. Does not cover: other builds (build_status.py), what tasks do
(array_run.py).
"""

import os
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster.array_plan import ArrayPlace, ArrayPlan, Share
from cluster.array_run import MAKES, MERGES, known_banks, tasks_of
from cluster.progress_file import ALIVE_SECONDS, PROGRESS_FILE, ProgressRecord
from cluster.workspace import workspace_path
from memo_dist.json_text import parse_json

_PATIENCE = 6 * ALIVE_SECONDS  # see build_status.py


@dataclass(frozen=True, kw_only=True)
class TaskStates:
    """The tasks of one command that have begun, by the arrays that they are of.

    Attributes:
        command: "make-runs" or "merge-runs". of: tasks of the array that was begun last.
        states: how many of them are "running", "done", "stopped", "failed" or "lost" (they say nothing more).
        ended: those that ended without being done, and are to be run again: task -> why.
    """

    command: str
    of: int
    states: dict[str, int]
    ended: dict[int, str] = field(default_factory=dict)

    def is_done(self, command: str) -> bool:
        """Whether all tasks of that command are done."""
        return self.command == command and self.states.get("done") == self.of


@dataclass(frozen=True, kw_only=True)
class ArrayStatus:
    """How far an array is.

    Attributes:
        memory: the directory that is made.
        state: "running" where a task is at work; else "waiting".
        runs, splits: runs that are there; how many there are to be, of streams about.
        files_done, files: of the memory.
        tokens: of the runs of tasks that told of themselves.
        tasks: of make-runs, then of merge-runs, as far as any has begun.
        next: the command that goes on from here.
    """

    memory: str
    state: str
    runs: int
    splits: int
    files_done: int
    files: int
    tokens: int
    tasks: list[TaskStates]
    next: str


def array_status(out: Path, *, now: float | None = None) -> ArrayStatus | None:
    """How far the array of a memory is; None if there is none.

    Args:
        now: seconds since 1970; None: now.
    """
    plan = ArrayPlan.known(out)
    if plan is None or (workspace_path(out) / PROGRESS_FILE).exists():  # an ordinary build goes on from it
        return None
    place, moment = ArrayPlace(out), time.time() if now is None else now
    told = {command: _records(place.merged, command) for command in (MAKES, MERGES)}
    tasks = [_states(command, records, moment) for command, records in told.items() if records]
    missing = [command for command in (MAKES, MERGES) if not any(one.is_done(command) for one in tasks)]
    runs = _count(place.runs, r"[0-9a-f]+")
    return ArrayStatus(
        memory=str(out),
        state="running" if any("running" in one.states for one in tasks) else "waiting",
        runs=runs,
        splits=max(plan.splits, runs),
        files_done=_count(place.merged, r"\d+-\d+-of-\d+\.json"),
        files=plan.files_of(known_banks(place)),
        tokens=sum(record.tokens for _, record in told[MAKES]),
        tasks=tasks,
        next=[*missing, "finish"][0],
    )


def _count(folder: Path, name: str) -> int:
    """How many things in a folder have a name of that form."""
    with suppress(OSError):
        return sum(re.fullmatch(name, one) is not None for one in os.listdir(folder))
    return 0


def _records(folder: Path, command: str) -> list[tuple[Share, ProgressRecord]]:
    """What tasks have told of themselves, those of the newest array."""
    found = []
    for path, share in tasks_of(folder, command).items():
        with suppress(OSError, ValueError, TypeError):  # it is being replaced, or of another version
            found.append((share, ProgressRecord(**parse_json(path.read_text(encoding="utf-8")))))
    if not found:
        return []
    newest = max(found, key=lambda one: one[1].updated)[0].of
    return sorted((one for one in found if one[0].of == newest), key=lambda one: one[0].task)


def _states(command: str, records: list[tuple[Share, ProgressRecord]], now: float) -> TaskStates:
    states, ended = Counter[str](), dict[int, str]()
    for share, record in records:
        silent = record.state == "running" and now - record.updated > _PATIENCE
        state = "lost" if silent else record.state
        states[state] += 1
        if state not in ("running", "done"):
            ended[share.task] = record.error or f"it says nothing since {now - record.updated:.0f} s"
    return TaskStates(command=command, of=records[0][0].of, states=dict(states), ended=ended)
