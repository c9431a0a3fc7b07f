"""memo-dist reproduce sort: which of two segments of a text came first.

Covers: what the command is asked. Does not cover: measuring (memo_dist/experiments/sort.py).
"""

import tempfile
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
from memo_dist.experiments.sort import SortBook, SortRow, SortRun, run_sort
from memo_dist.experiments.sort_report import plot_sort, sort_table

_LEAST_WORDS = 8  # of a segment: the passage that `where` looks for
_COLUMNS = {
    "system": "system",
    "excerpt": "excerpt",
    "segment": "segment",
    "distance": "apart",
    "forward_right": "onward",
    "forward_wrong": "wrong",
    "where_right": "places",
    "where_wrong": "wrong",
    "mixed_right": "mixed",
    "least": "published",
    "greatest": "to",
}


def sort_command(
    out: Out,
    excerpts: Annotated[str, typer.Option(help="Words of an excerpt.")] = "250,1000,2500,10000,20000",
    segments: Annotated[str, typer.Option(help="Words of a segment.")] = "20,50",
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of each; in turn of four distances and both orders.")] = 24,
    text: Annotated[Path | None, typer.Option(help="A text file. [default: the reference of Python]")] = None,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Which of two segments of a memorized text came first: by recall onward, and by the places that are kept."""
    available_bytes()
    words, sizes = numbers(excerpts, "excerpts"), numbers(segments, "segments", least=_LEAST_WORDS)
    if 4 * sizes[-1] >= words[0]:
        raise ConfigError(
            f"--segments {segments} and --excerpts {excerpts}: expected segments of less than a quarter of an excerpt"
        )
    runs = [
        SortRun(excerpt, segment, pairs=pairs, text=name_of(text), seed=seed)
        for seed in range(seeds)
        for excerpt in words
        for segment in sizes
    ]
    source = paragraphs(text, characters=1)
    rows = RowFile(directory(out) / "sort-runs.csv", SortRow)
    require_same(rows, {"pairs": pairs, "text": name_of(text)})
    if missing_of(runs, rows.rows):
        with tempfile.TemporaryDirectory() as folder:
            book = SortBook(source, Path(folder))
            if words[-1] >= len(book.words.spans):
                raise ConfigError(
                    f"--excerpts is {excerpts!r}, and {name_of(text)} has {len(book.words.spans):,} words; give "
                    "shorter ones, or a longer --text"
                )
            measure_missing(rows, runs, name="sort", measure=lambda run: run_sort(run, book))
    table = sort_table([row for row in rows.rows if any(run.made(row) for run in runs)])
    report(table, out, shown=Shown("sort", "Which segment came first", _COLUMNS, plot_sort), as_json=as_json)
