"""memo-dist reproduce unlearning: documents forgotten, beside a memory that never held them.

Covers: what the command is asked. Does not cover: measuring (memo_dist/experiments/unlearning.py).
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
from memo_dist.experiments.prose import name_of, paragraphs
from memo_dist.experiments.rows import RowFile
from memo_dist.experiments.unlearning import Corpus, UnlearningRow, UnlearningRun, documents_of, run_unlearning
from memo_dist.experiments.unlearning_report import plot_unlearning, unlearning_table

_MOST = 50  # percent
_COLUMNS = {
    "system": "system",
    "corpus": "corpus",
    "percent": "%",
    "forget_before": "before",
    "forget_after": "after",
    "forget_never": "never held",
    "retain_after": "kept",
    "leak_after": "leak %",
    "cells_before": "AUC before",
    "cells_after": "after",
    "requests_equal": "equal",
    "copied": "copy left",
    "near": "near left",
}


def unlearning_command(
    out: Out,
    percents: Annotated[str, typer.Option(help="Shares of the documents that are forgotten.")] = "1,5,10",
    documents: Annotated[int, typer.Option(min=10, help="Documents held; a tenth as many are never held.")] = 200,
    text: Annotated[Path | None, typer.Option(help="A text file. [default: the reference of Python]")] = None,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Documents forgotten one after the other: recall, membership inference, digests, what else is left in."""
    available_bytes()
    shares = numbers(percents, "percents")
    if shares[-1] > _MOST:
        raise ConfigError(f"--percents is {percents!r}; expected shares of at most {_MOST}, so that documents are kept")
    runs = [UnlearningRun(share, documents, name_of(text), seed) for seed in range(seeds) for share in shares]
    source = paragraphs(text, characters=1)
    rows = RowFile(directory(out) / "unlearning-runs.csv", UnlearningRow)
    require_same(rows, {"documents": documents, "text": name_of(text)})
    if missing_of(runs, rows.rows):
        corpus = Corpus(documents_of(source, documents + documents // 10), documents)
        measure_missing(rows, runs, name="unlearning", measure=lambda run: run_unlearning(run, corpus))
    table = unlearning_table([row for row in rows.rows if any(run.made(row) for run in runs)])
    shown = Shown("unlearning", "Documents forgotten", _COLUMNS, plot_unlearning)
    report(table, out, shown=shown, as_json=as_json)
