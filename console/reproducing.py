"""What the commands of `memo-dist reproduce` share: rows for the settings not yet there, a table, a plot, --json.

Covers: where results go, lists of numbers, going on after a stop, telling the end. Does not cover: what is measured
(memo_dist/experiments), what a command is asked (reproduce.py, the files reproduce_*.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from console.output import ProgressLine, print_json, print_rows
from memo_dist.durable import writing
from memo_dist.errors import ConfigError, InputError
from memo_dist.experiments.evaluation_run import Settings, missing_of
from memo_dist.experiments.report import write_table
from memo_dist.experiments.rows import Row, RowFile
from memo_dist.extras import require

Out = Annotated[Path, typer.Option(help="Directory for tables and plots; a stopped run goes on from what is there.")]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each row, with seeds 0, 1, ...")]


@dataclass(frozen=True)
class Shown:
    """How a table is told: `name` of its files, title, field -> heading, and what draws it into a directory."""

    name: str
    title: str
    columns: dict[str, str]
    plot: Callable[[list[dict[str, Any]], Path], list[Path]]


def measure_missing(rows: RowFile[Row], runs: Sequence[Settings], *, name: str, measure: Callable[[Any], Row]) -> None:
    """Measure what no row of the file is of, one run after the other; each row is kept before the next begins."""
    with ProgressLine(name, "rows") as line:
        for number, run in enumerate(runs):
            line.update(number / len(runs), len(rows.rows))
            if missing_of([run], rows.rows):
                rows.append(measure(run))
        line.update(1, len(rows.rows))


def report(table: list[dict[str, Any]], out: Path, *, shown: Shown, as_json: bool) -> None:
    """Write the table and its plot, and print it: one JSON object, or lines for people."""
    files = [*write_table(table, out, shown.name), *shown.plot(table, out)]
    if as_json:
        print_json({"rows": table, "files": [str(path) for path in files]})
        return
    print_rows(shown.title, shown.columns, table)
    print("written: " + ", ".join(str(path) for path in files))


def available_bytes() -> int:
    """Memory that is free now; refuses to begin hours of work without the libraries that end it."""
    require("psutil", "scipy", "matplotlib")
    import psutil

    return int(psutil.virtual_memory().available)


def directory(out: Path) -> Path:
    """The directory --out, made if it is not there."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; expected a directory, there or to be made")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    return out


def numbers(text: str, name: str, least: int = 1) -> list[int]:
    """The different whole numbers of --name, rising.

    Raises:
        ConfigError: they are no such numbers, or one is less than `least`.
    """
    try:
        values = sorted({int(word) for word in str(text).split(",")})
    except ValueError as error:
        raise ConfigError(f"--{name} is {text!r}; expected whole numbers with commas, such as 1024,2048") from error
    if values[0] < least:
        raise ConfigError(f"--{name} is {text!r}; expected whole numbers from {least}")
    return values


def require_same(rows: RowFile[Any], settings: dict[str, Any]) -> None:
    """Raise InputError if rows that are there were measured otherwise."""
    for row in rows.rows:
        for name, value in settings.items():
            if getattr(row, name) != value:
                raise InputError(
                    f"{rows.path} holds rows measured with {name} {getattr(row, name)}, not {value}; "
                    "give the same setting or another --out"
                )
