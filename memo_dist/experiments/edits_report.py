"""Edits, told: means over seeds, one line a number of edits, with the published figures in lines below them.

Covers: the table, the plot. Does not cover: measuring (edits.py).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.experiments.edits import EditsRow
from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_edits

GIVEN = "person and relation are given as text; a language model learns them"
_SETTINGS = ("edits", "untouched", "editable")


def edits_table(rows: Sequence[EditsRow]) -> list[dict[str, Any]]:
    """One line a number of edits, means over seeds; then one a published system, with what it has figures of.

    Published success is that the new value is likelier than the old; ours, that it alone is said.
    """
    groups: dict[tuple[int, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(getattr(row, name) for name in _SETTINGS)].append(asdict(row))
    table = []
    for key, group in sorted(groups.items()):
        names = [name for name in group[0] if name not in (*_SETTINGS, "seed")]
        line: dict[str, Any] = {"system": "memo-dist", **dict(zip(_SETTINGS, key, strict=True)), "seeds": len(group)}
        line |= {name: float(np.mean([row[name] for row in group])) for name in names}
        table.append(line | {"records": "invented facts", "source": f"measured; {GIVEN}"})
    empty = dict.fromkeys(table[0]) if table else {}
    for theirs in published_edits():
        line = empty | {name: theirs[name] for name in ("system", "records", "source", "stored", "held_out")}
        table.append(line | {"success": theirs["edit"], "neighbours": theirs["neighbours"]})
    return table


def plot_edits(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """What is answered rightly against edits in sequence; dotted: Larimar-6B's published share of edits and neighbours
    of single edits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    panel = figure.subplots()
    ours = [line for line in table if line["edits"] is not None]
    theirs = next(line for line in table if line["system"] == "Larimar-6B")
    named = {"success": "edit", "stored": "stored paraphrase", "held_out": "held-out paraphrase"}
    named |= {"neighbours": "neighbours", "locality": "untouched", "without_forgetting": "control: old left in"}
    for number, (name, label) in enumerate(named.items()):
        color = f"C{number}"
        panel.plot([line["edits"] for line in ours], [line[name] for line in ours], "o-", color=color, label=label)
        if theirs[name] is not None:
            panel.axhline(theirs[name], color=color, linestyle=":", linewidth=1)
    panel.set(xscale="log", ylim=(-0.05, 1.05), xlabel="edits in sequence", ylabel="share (dotted: Larimar-6B)")
    panel.legend(fontsize=8)
    return save_figure(figure, out, "edits")
