"""What commands share: JSON or tables, progress, byte sizes.

Covers: stdout and stderr. Does not cover: exit codes (app.py).
"""

import json
import math
import sys
import time
import unicodedata
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_LINE_SECONDS = 3.0
_MOVING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of characters that a terminal may obey
_KEPT = "\n\t\u00ad\u200c\u200d"


def print_json(value: dict[str, Any], stream: TextIO | None = None) -> None:
    """One JSON object on stdout, or on `stream`; not-a-number becomes null."""
    print(json.dumps(_clean(value)), file=stream, flush=True)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_text(pieces: list[tuple[str, str]]) -> None:
    """(text, style) pieces on stdout: in colour on a terminal, with what would move or colour it spelled out; elsewhere
    character for character."""
    console = Console()
    if console.is_terminal:
        console.print(Text.assemble(*((for_terminal(text), style) for text, style in pieces)), soft_wrap=True)
    else:
        print("".join(text for text, _ in pieces), flush=True)


def in_colour() -> bool:
    """Whether what is printed on stdout is seen in colour: on a terminal that has any, unless NO_COLOR is set."""
    console = Console()
    return console.is_terminal and not console.no_color and console.color_system is not None


def print_note(text: str, style: str) -> None:
    """A line about an answer, on stderr; on a terminal in colour."""
    note = Text(f"-- {printable(text)}", style=style)
    Console(stderr=True).print(note, soft_wrap=True)


def for_terminal(text: str) -> str:
    """A text with the characters spelled out that would move, colour or turn a terminal's; line feeds and tabs stay, as
    do characters that only join others."""
    return "".join(one if _is_harmless(one) else printable(one) for one in text.replace("\r\n", "\n"))


def _is_harmless(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in _MOVING


def print_table(title: str, rows: dict[str, Any], error: bool = False) -> None:
    """A two-column table; on stderr if `error`."""
    table = Table(title=Text(title), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))  # a value is no markup: [unk] is a token
    Console(stderr=error).print(table)


def warn_of_repeated_ids(count: int) -> None:
    """Say on stderr, if it is so, that several documents have one id, and what to do."""
    if count:
        print(
            f"memo-dist: {count:,} ids repeat: each is that of several documents, which --document names together, and "
            "of which add takes none once one is held. --id-key names a field that tells all rows apart; one that no "
            "row has makes a row's place its id",
            file=sys.stderr,
        )


def printable(value: Any) -> Any:
    """A text with tabs, line feeds and other characters that move or colour a terminal spelled out."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def show_fact(value: Any) -> Any:
    """A fact of a table: whole numbers with commas, others short, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def print_rows(title: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
    """A table with one line a row: `columns` are field -> heading. Numbers are short, what is missing is a dash."""
    table = Table(title=Text(title), title_justify="left")
    for heading in columns.values():
        table.add_column(heading, justify="right" if table.columns else "left")
    for row in rows:
        table.add_row(*(Text(_short(row[name])) for name in columns))  # a text may have square brackets
    Console().print(table)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class ProgressLine:
    """Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, what: str, unit: str = "tokens") -> None:
        self._what, self._unit = what, unit
        self._printed = time.monotonic()
        self._first: tuple[float, float, int] | None = None
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            rates = (TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, *rates, console=Console(stderr=True))
            self._task = self._bar.add_task(what, total=1.0, rate="")

    def __enter__(self) -> "ProgressLine":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def turn_to(self, what: str, unit: str) -> None:
        """Show other work from now on, in other units, from its beginning."""
        if what != self._what:
            self._what, self._unit, self._first = what, unit, None
            if self._bar:
                self._bar.update(self._task, description=what, completed=0.0, rate="")

    def merging(self, done: int, files: int) -> None:
        """Show that all is read, and that so many of the memory's files are merged."""
        if self._bar:
            self._bar.update(
                self._task, description="merging", completed=done / files, rate=f"{done:,} of {files:,} files"
            )
            return
        now = time.monotonic()
        if now - self._printed >= _LINE_SECONDS or done == files:
            self._printed = now
            print(f"merging: {done:,} of {files:,} files", file=sys.stderr)

    def uploading(self, done: int, total: int) -> None:
        """Show that so many bytes of a memory are in its store."""
        self.turn_to("uploading", "bytes")
        self.update(done / max(total, 1), done)

    def update(self, share: float, count: int) -> None:
        """Show that `share` in [0, 1] of the work and `count` tokens (or other units) are done.

        The rate counts from the first call on: before it, processes start.
        """
        now = time.monotonic()
        if self._first is None or count < self._first[2]:  # of another memory
            self._first = (now, share, count)
        began, first_share, first_count = self._first
        seconds, done = now - began, share - first_share
        per_second = (count - first_count) / seconds if seconds > 0 else 0.0
        rate = f"{per_second:,.{0 if per_second >= 10 else 2}f} {self._unit}/s" if seconds > 0 else "starting"
        if self._bar:
            self._bar.update(self._task, completed=share, rate=rate)
        elif now - self._printed >= _LINE_SECONDS or share >= 1:
            self._printed = now
            left = f"{seconds * (1 - share) / done:.0f} s left" if done > 0 else "time left unknown"
            print(f"{self._what}: {share:.0%}, {count:,} {self._unit}, {rate}, {left}", file=sys.stderr)
