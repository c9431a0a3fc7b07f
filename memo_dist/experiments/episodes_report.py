"""Episodes, told: means over seeds, one line a size and load, with the published figures in lines below them.

Covers: the table, the plot. Does not cover: measuring (episodes.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memo_dist.experiments.episodes import EpisodesRow
from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_episodes
from memo_dist.experiments.report import seed_means

GIVEN = "the parts of an event are given; a language model reads chapters of prose"
_SETTINGS = ("events", "load", "each")


def episodes_table(rows: Sequence[EpisodesRow]) -> list[dict[str, Any]]:
    """One line a number of events and a load, means over seeds; then one a published system: simple and chronological
    recall of a book of 200 events."""
    table = [
        {"system": "memo-dist"} | line | {"simple": None, "chronological": None, "source": GIVEN}
        for line in seed_means(rows, _SETTINGS)
    ]
    empty = dict.fromkeys(table[0]) if table else {}
    return table + [empty | theirs for theirs in published_episodes()]


def plot_episodes(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Simple and chronological recall against associations a bank; dotted: published systems; crosses: controls."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    ours = [line for line in table if line["system"] == "memo-dist"]
    theirs = [line for line in table if line["system"] != "memo-dist"]
    controls = {"simple": "best_simple", "chronological": "unordered_tau"}
    told = {"best_simple": "control: best value alone", "unordered_tau": "control: tau, no look at dates"}
    for panel, score in zip(panels, controls, strict=True):
        for number, count in enumerate(sorted({line["events"] for line in ours})):
            own = sorted((line for line in ours if line["events"] == count), key=lambda line: line["bank_load"])
            loads = [line["bank_load"] for line in own]
            lines = {f"ledger_{score}": ("o-", "ledger"), f"pursuit_{score}": ("s--", "pursuit")}
            lines |= {controls[score]: ("x", told[controls[score]])}
            for name, (style, label) in lines.items():
                values = [line[name] for line in own]
                panel.plot(loads, values, style, color=f"C{number}", markersize=4, label=f"{label}, {count} events")
        for number, line in enumerate(theirs):
            panel.axhline(line[score], color=f"C{number + 2}", linestyle=":", linewidth=1, label=line["system"])
        panel.set(xlabel="associations a bank of 65,536 cells", title=f"{score} recall", ylim=(-0.1, 1.05))
        panel.legend(fontsize=6)
    return save_figure(figure, out, "episodes")
