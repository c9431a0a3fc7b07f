"""What commands share: JSON or tables, progress, byte sizes.

Covers: stdout and stderr. Does not cover: exit codes (app.py).
"""

import json
import math
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

_LINE_SECONDS = 3.0


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout; not-a-number becomes null."""
    print(json.dumps(_clean(value)))


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(title: str, rows: dict[str, Any], error: bool = False) -> None:
    """A two-column table; on stderr if `error`."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console(stderr=error).print(table)


class ProgressLine:
    """Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._printed = time.monotonic()
        self._first: tuple[float, float, int] | None = None
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(what, total=1.0, rate="")

    def __enter__(self) -> "ProgressLine":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, share: float, tokens: int) -> None:
        """Show that `share` in [0, 1] of the work and `tokens` tokens are done.

        The rate counts from the first call on: before it, processes start.
        """
        now = time.monotonic()
        if self._first is None:
            self._first = (now, share, tokens)
        began, first_share, first_tokens = self._first
        seconds, done = now - began, share - first_share
        rate = f"{(tokens - first_tokens) / seconds:,.0f} tokens/s" if seconds > 0 else "starting"
        if self._bar:
            self._bar.update(self._task, completed=share, rate=rate)
        elif now - self._printed >= _LINE_SECONDS or share >= 1:
            self._printed = now
            left = f"{seconds * (1 - share) / done:.0f} s left" if done > 0 else "time left unknown"
            print(f"{self._what}: {share:.0%}, {tokens:,} tokens, {rate}, {left}", file=sys.stderr)
