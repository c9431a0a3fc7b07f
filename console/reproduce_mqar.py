"""memo-dist reproduce mqar: multi-query associative recall, accuracy against cells, with its controls."""

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
from memo_dist.experiments.mqar import LESSONS, MqarRow, MqarRun, run_mqar
from memo_dist.experiments.mqar_report import mqar_table, plot_mqar
from memo_dist.experiments.rows import RowFile

_MOST_PAIRS = 1024  # of 4,095 keys, and 4,096 values of which a rebound key takes a second
_COLUMNS = {
    "lesson": "memorized and asked",
    "pairs": "pairs",
    "inner_dim": "dim",
    "cells": "cells",
    "load": "load",
    "accuracy": "accuracy",
    "accuracy_sd": "sd",
    "predicted": "law",
    "published_best": "published",
    "published_model": "by",
}


def mqar_command(
    out: Out,
    pairs: Annotated[str, typer.Option(help="Pairs of an example, 4 to 1024.")] = "4,8,16,32,64,128,256",
    dims: Annotated[str, typer.Option(help="inner_dim: the bank has its square in cells.")] = "64,128,192,256",
    controls: Annotated[bool, typer.Option(help="Also the controls, not only the pairs.")] = True,
    queries: Annotated[int, typer.Option(min=1, help="Queries at least of each row, in examples of their own.")] = 2000,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Pairs of tokens in one bank, each key asked once: accuracy against cells."""
    available_bytes()
    counts = numbers(pairs, "pairs", least=4)
    if counts[-1] > _MOST_PAIRS:
        raise ConfigError(f"--pairs is {pairs!r}; expected whole numbers from 4 to {_MOST_PAIRS}")
    runs = [
        MqarRun(lesson, count, dim, queries=queries, seed=seed)
        for seed in range(seeds)
        for lesson in list(LESSONS)[: None if controls else 1]
        for count in counts
        for dim in numbers(dims, "dims")
    ]
    for run in runs:
        run.config()
    rows = RowFile(directory(out) / "mqar-runs.csv", MqarRow)
    require_same(rows, {"queries": queries})
    measure_missing(rows, runs, name="mqar", measure=run_mqar)
    shown = Shown("mqar", "Multi-query associative recall: queries answered by their value", _COLUMNS, plot_mqar)
    report(mqar_table(rows.rows), out, shown=shown, as_json=as_json)
