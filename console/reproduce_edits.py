"""memo-dist reproduce edits: facts of a memory replaced, and what that does to all else.

Covers: what the command is asked. Does not cover: measuring (memo_dist/experiments/edits.py), replacing a document of
a memory directory (sync.py).
"""

from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile
from console.reproducing import Out, Seeds, Shown, available_bytes, directory, measure_missing, numbers, report
from memo_dist.errors import ConfigError
from memo_dist.experiments.edit_facts import RELATIONS
from memo_dist.experiments.edits import EditedWorld, EditsRow, EditsRun
from memo_dist.experiments.edits_report import edits_table, plot_edits
from memo_dist.experiments.rows import RowFile

_NEIGHBOURS = 10
_LEAST = 2 * len(RELATIONS) * _NEIGHBOURS  # untouched facts: two values a relation
_COLUMNS = {
    "system": "system",
    "edits": "edits",
    "success": "edit",
    "stored": "stored form",
    "held_out": "held-out form",
    "neighbours": "neighbours",
    "locality": "untouched",
    "others_equal": "others' digest",
    "undone_equal": "undone",
    "without_forgetting": "old left in",
    "another_relation": "not held",
    "seconds_an_edit": "s an edit",
}


def edits_command(
    out: Out,
    edits: Annotated[str, typer.Option(help="Numbers of edits in sequence.")] = "1,10,100,1000,10000",
    untouched: Annotated[
        int, typer.Option(min=_LEAST, help="Facts that no edit touches, all asked before and after.")
    ] = 10_000,
    seeds: Seeds = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Facts replaced one after the other: success, paraphrases, neighbours, everything else, undone to the bit."""
    available_bytes()
    wanted = numbers(edits, "edits")
    runs = [EditsRun(count, untouched, wanted[-1], seed) for seed in range(seeds) for count in wanted]
    if untouched % _LEAST:
        raise ConfigError(
            f"--untouched is {untouched}; expected a multiple of {_LEAST}, so that every fact has {_NEIGHBOURS} "
            "neighbours"
        )
    rows = RowFile(directory(out) / "edits-runs.csv", EditsRow)
    worlds: list[EditedWorld] = []

    def measure(run: EditsRun) -> EditsRow:
        if not worlds or not worlds[-1].fits(run):
            worlds[:] = [EditedWorld(run, neighbours=_NEIGHBOURS)]
        return worlds[-1].measured(run)

    measure_missing(rows, runs, name="edits", measure=measure)
    table = edits_table([row for row in rows.rows if any(run.made(row) for run in runs)])
    report(table, out, shown=Shown("edits", "Facts replaced", _COLUMNS, plot_edits), as_json=as_json)
