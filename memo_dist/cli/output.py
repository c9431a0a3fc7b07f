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
        self._started = time.monotonic()
        self._printed = self._started
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

    def restart(self) -> None:
        """Rates count from now on."""
        self._started = time.monotonic()

    def update(self, share: float, tokens: int) -> None:
        """Show that `share` in [0, 1] of the work and `tokens` tokens are done."""
        now = time.monotonic()
        seconds = max(now - self._started, 1e-9)
        rate = f"{tokens / seconds:,.0f} tokens/s"
        if self._bar:
            self._bar.update(self._task, completed=share, rate=rate)
        elif now - self._printed >= _LINE_SECONDS or share >= 1:
            self._printed = now
            left = seconds * (1 - share) / max(share, 1e-9)
            print(f"{self._what}: {share:.0%}, {tokens:,} tokens, {rate}, {left:.0f} s left", file=sys.stderr)
