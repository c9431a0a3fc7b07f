"""memo-dist status: a build, a change or another command that makes a memory, under way, seen from elsewhere."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.array_status import array_line, array_rows
from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_table
from memo_dist.sizes import show_seconds

if TYPE_CHECKING:
    from cluster.build_status import BuildStatus

_EVERY = 2.0  # seconds between two looks
_GOING_ON = ("starting", "running", "finishing", "waiting")
_PHASES = {
    "splits": "reading and memorizing",
    "count": "counting",
    "merge": "merging into files",
    "solve": "solving into tables",
}


def status_command(
    memory: MemoryPath,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on telling, a line every two seconds, until it ends.")
    ] = False,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Show a build, a change, a merge, rebank, compact or publish that is under way or stopped: how far it is, how
    fast, how long it still takes. Of the tasks of an array it shows how many are at work, done, or to be run again.

    It may run on any machine that shares the directory. With --json and --follow each line is an object."""
    from cluster.array_status import array_status
    from cluster.build_status import status_of

    path = Path(memory)

    def look(*, first: bool) -> bool:
        """Show what is known now; whether anything goes on."""
        if (array := array_status(path)) is not None:
            facts, rows, line, state = asdict(array), array_rows(array), array_line(array), array.state
        else:
            build = status_of(path)
            facts, rows, line, state = asdict(build), _rows(build), _line(build), build.state
        if as_json:
            print_json(facts)
        elif first:
            print_table(f"Status of {memory}", rows)
        else:
            print(line, file=sys.stdout, flush=True)
        return state in _GOING_ON

    goes_on = look(first=True)
    while follow and goes_on:
        time.sleep(_EVERY)
        goes_on = look(first=False)


def _rows(status: "BuildStatus") -> dict[str, str]:
    if status.state == "none":
        return {"state": "nothing is under way; the memory is there, memo-dist inspect shows it"}
    rows = {"state": f"{status.action or 'a command'}, {_state(status)}"}
    if status.phase is None:
        if status.state == "lost":
            rows["progress"] = "not told: no record was left; the same command goes on from what is done"
        return rows
    rows["phase"] = _PHASES.get(status.phase, status.phase)
    if status.splits:
        rows["splits"] = f"{status.splits_done:,} of {status.splits:,}"
    if status.files:
        rows[_what(status)] = f"{status.files_done:,} of {status.files:,}"
    rows["tokens"] = f"{status.tokens:,} in {status.documents:,} documents{_speed(status)}"
    rows["time"] = f"{show_seconds(status.seconds or 0.0)}; {_left(status)}"
    rows["lost"] = f"{status.losses:,} processes or nodes, in {status.attempts:,} attempts"
    rows["process"] = f"{status.pid} on {status.host}"
    return rows


def _line(status: "BuildStatus") -> str:
    if status.state == "none":
        return "done; the memory is there"
    if status.phase is None:
        return status.state
    part = f"{status.splits_done:,} of {status.splits:,} splits"
    if status.files:
        part = f"{status.files_done:,} of {status.files:,} {_what(status)}"
    facts = (_PHASES[status.phase], part, f"{status.tokens:,} tokens{_speed(status)}", _left(status))
    return f"{_state(status)}: {', '.join(facts)}"


def _what(status: "BuildStatus") -> str:
    """What a command that makes files counts."""
    return "steps" if status.phase == "solve" else "files"


def _state(status: "BuildStatus") -> str:
    if status.state in _GOING_ON:
        return status.state
    if status.state == "lost":
        since = "" if status.silent_seconds is None else f" for {show_seconds(status.silent_seconds)}"
        return f"its process says nothing{since}: it was ended, or its machine is gone; the same command goes on"
    return f"{status.state}: {status.error}"


def _speed(status: "BuildStatus") -> str:
    return "" if status.tokens_per_second is None else f", {status.tokens_per_second:,.0f} a second"


def _left(status: "BuildStatus") -> str:
    left = status.seconds_left
    return "time left unknown" if left is None else f"{show_seconds(left)} left of the phase"
