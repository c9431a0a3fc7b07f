"""memo-dist reproduce needle: a pass key told once in a long text, asked in a memory of a fixed size.

Covers: what the command is asked. Does not cover: measuring (memo_dist/experiments/needle.py).
"""

from pathlib import Path
from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile
from console.reproducing import (
    Out,
    Seeds,
    Shown,
    available_bytes,
    directory,
    measure_missing,
    numbers,
    report,
    require_same,
)
from memo_dist.errors import ConfigError
from memo_dist.experiments.evaluation_run import missing_of
from memo_dist.experiments.needle import FILLERS, Haystacks, NeedleRow, NeedleRun, run_needle
from memo_dist.experiments.needle_report import needle_table, plot_needle
from memo_dist.experiments.prose import name_of, paragraphs
from memo_dist.experiments.rows import RowFile

_COLUMNS = {
    "system": "system",
    "filler": "filler",
    "length": "tokens",
    "load": "load",
    "ledger_right": "ledger",
    "matrices_right": "matrices",
    "predicted": "law",
    "absent_ledger": "no key",
    "two_ledger": "two keys",
    "accuracy": "published",
}


def needle_command(
    out: Out,
    lengths: Annotated[str, typer.Option(help="Tokens of a text.")] = "24576,32768,49152,65536,131072",
    banks: Annotated[str, typer.Option(help="Banks of 65,536 cells each, of the memory of every text.")] = "64",
    trials: Annotated[int, typer.Option(min=1, help="Texts of each length, each with a key of its own.")] = 30,
    text: Annotated[Path | None, typer.Option(help="A text file to hide keys in. [default: prose of Python]")] = None,
    controls: Annotated[bool, typer.Option(help="Also texts that say the same over and over.")] = True,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """A pass key told once in a text of any length, one size of memory: told again rightly, against length."""
    available_bytes()
    wanted, sizes = numbers(lengths, "lengths"), numbers(banks, "banks")
    runs = [
        NeedleRun(filler, length, num_banks=count, trials=trials, text=name_of(text), seed=seed)
        for seed in range(seeds)
        for filler in FILLERS[: None if controls else 1]
        for count in sizes
        for length in (wanted if filler == FILLERS[0] else wanted[-1:])
    ]
    source = paragraphs(text)
    rows = RowFile(directory(out) / "needle-runs.csv", NeedleRow)
    require_same(rows, {"trials": trials, "text": name_of(text)})
    if missing_of(runs, rows.rows):
        haystacks = Haystacks(source)
        if wanted[-1] > haystacks.tokens:
            raise ConfigError(
                f"--lengths is {lengths!r}, and {name_of(text)} has {haystacks.tokens:,} tokens; give shorter ones, or "
                "a longer --text"
            )
        measure_missing(rows, runs, name="needle", measure=lambda run: run_needle(run, haystacks))
    table = needle_table([row for row in rows.rows if any(run.made(row) for run in runs)])
    report(table, out, shown=Shown("needle", "A pass key in a long text", _COLUMNS, plot_needle), as_json=as_json)
