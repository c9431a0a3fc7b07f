"""How the status of an array of tasks is shown: its rows, and the line of --follow.

Covers: the words. Does not cover: what is known (cluster/array_status.py), the command (status.py).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.array_status import ArrayStatus, TaskStates

_NAMED = 8  # tasks that are shown with why they ended


def array_rows(status: "ArrayStatus") -> dict[str, str]:
    """For a table."""
    rows = {
        "state": "an array, tasks are at work" if status.state == "running" else "an array, no task is at work",
        "runs": f"{status.runs:,} of {status.splits:,}",
        "files": f"{status.files_done:,} of {status.files:,}",
        "tokens": f"{status.tokens:,}",
    }
    for tasks in status.tasks:
        rows[tasks.command] = _states(tasks)
        for task, why in list(tasks.ended.items())[:_NAMED]:
            rows[f"task {task}"] = f"to be run again: {why}"
        if more := len(tasks.ended) - _NAMED:
            rows |= {"others": f"{more:,} more are to be run again"} if more > 0 else {}
    rows["next"] = f"memo-dist {status.next} {status.memory}"
    return rows


def array_line(status: "ArrayStatus") -> str:
    """For --follow."""
    done = f"{status.runs:,} of {status.splits:,} runs, {status.files_done:,} of {status.files:,} files"
    return "; ".join([f"{status.state}: {done}", *(f"{tasks.command} {_states(tasks)}" for tasks in status.tasks)])


def _states(tasks: "TaskStates") -> str:
    begun = sum(tasks.states.values())
    told = [f"{count:,} {state}" for state, count in sorted(tasks.states.items())]
    waiting = [f"{tasks.of - begun:,} not begun"] if begun < tasks.of else []
    return f"of {tasks.of:,} tasks {', '.join([*told, *waiting])}"
