"""Unlearning, told: means over seeds, one line a share forgotten, with the published figures in lines below them.

Covers: the table, the plot. Does not cover: measuring (unlearning.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_unlearning
from memo_dist.experiments.report import seed_means
from memo_dist.experiments.unlearning import UnlearningRow

GIVEN = "the text to forget is given; equality to a memory without it holds by construction"
_SETTINGS = ("percent", "documents", "text")


def unlearning_table(rows: Sequence[UnlearningRow]) -> list[dict[str, Any]]:
    """One line a share forgotten, means over seeds; then one a published way to unlearn and corpus: ROUGE-L F on the
    forgotten text, PrivLeak in percent."""
    table = [
        {"system": "memo-dist", "corpus": "documents"} | line | {"source": GIVEN}
        for line in seed_means(rows, _SETTINGS)
    ]
    empty = dict.fromkeys(table[0]) if table else {}
    for theirs in published_unlearning():
        line = empty | {name: theirs[name] for name in ("system", "corpus", "source")}
        table.append(line | {"forget_after": theirs["verbatim"], "leak_after": theirs["leak"]})
    return table


def plot_unlearning(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Recall and membership inference against the share forgotten."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    ours = [line for line in table if line["system"] == "memo-dist"]
    shares = [line["percent"] for line in ours]
    recall = {"forget_before": "forgotten, before", "forget_after": "forgotten, after", "forget_never": "never held"}
    recall |= {"retain_after": "kept, after", "copied": "control: a copy left", "near": "control: near duplicate left"}
    told = {"cells_before": "before", "cells_after": "after", "cells_never": "never held"}
    told |= {"cells_near": "control: near duplicate left"}
    for panel, names, title in (
        (panels[0], recall, "verbatim recall, ROUGE-L F"),
        (panels[1], told, "membership inference by the matrices, AUC"),
    ):
        for number, (name, label) in enumerate(names.items()):
            style = "x--" if label.endswith("never held") else "o-"
            panel.plot(shares, [line[name] for line in ours], style, color=f"C{number}", label=label)
        panel.set(xlabel="documents forgotten, %", title=title, ylim=(-0.05, 1.05))
        panel.legend(fontsize=7)
    panels[1].axhline(0.5, color="grey", linewidth=0.8)
    return save_figure(figure, out, "unlearning")
