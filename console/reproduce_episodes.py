"""memo-dist reproduce episodes: events of date, place, entity and content, asked by some parts for another.

Covers: what the command is asked. Does not cover: measuring (memo_dist/experiments/episodes.py).
"""

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
from memo_dist.experiments.episodes import EpisodesRow, EpisodesRun, run_episodes
from memo_dist.experiments.episodes_report import episodes_table, plot_episodes
from memo_dist.experiments.rows import RowFile

_LEAST_EVENTS, _LEAST_LOAD = 20, 10
_COLUMNS = {
    "system": "system",
    "events": "events",
    "bank_load": "a bank",
    "ledger_simple": "ledger",
    "ledger_chronological": "in order",
    "pursuit_simple": "pursuit",
    "pursuit_chronological": "in order",
    "best_simple": "best alone",
    "unordered_tau": "no dates",
    "shuffled": "shuffled",
    "simple": "published",
    "chronological": "in order",
}


def episodes_command(
    out: Out,
    events: Annotated[
        str, typer.Option(help="Numbers of events; published books have 20, 200 and 2,000.")
    ] = "200,2000",
    loads: Annotated[str, typer.Option(help="Associations a bank of 65,536 cells.")] = "300,1200,1800,2700",
    each: Annotated[int, typer.Option(min=1, help="Questions of each group at most.")] = 150,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Events asked by some of their parts for another: all matching, in order, and none where none matches."""
    available_bytes()
    counts, wanted = numbers(events, "events", least=_LEAST_EVENTS), numbers(loads, "loads", least=_LEAST_LOAD)
    runs = [EpisodesRun(count, load, each, seed) for seed in range(seeds) for count in counts for load in wanted]
    rows = RowFile(directory(out) / "episodes-runs.csv", EpisodesRow)
    require_same(rows, {"each": each})
    measure_missing(rows, runs, name="episodes", measure=run_episodes)
    table = episodes_table([row for row in rows.rows if any(run.made(row) for run in runs)])
    report(table, out, shown=Shown("episodes", "Events recalled", _COLUMNS, plot_episodes), as_json=as_json)
