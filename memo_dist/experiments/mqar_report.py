"""MQAR's table and plot: accuracy against cells, the published curves beside it.

Covers: means over seeds, the published figure of the same pairs and width. Does not cover: measuring (mqar.py).
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.experiments.mqar import LESSONS, MqarRow
from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_mqar

_STATE = "state"


def mqar_table(rows: Sequence[MqarRow]) -> list[dict[str, Any]]:
    """One line a (lesson, pairs, inner_dim): accuracy, a mean over seeds with its standard deviation (None for one
    seed), what the law says, and for the evaluation itself the best of the models without attention in Zoology's
    figure 2 at as many pairs and this width, read off the plot."""
    groups: dict[tuple[int, int, int], list[MqarRow]] = defaultdict(list)
    order = list(LESSONS)
    for row in rows:
        groups[order.index(row.lesson), row.pairs, row.inner_dim].append(row)
    table = []
    for (place, pairs, dim), group in sorted(groups.items()):
        accuracy = np.array([row.accuracy for row in group])
        evaluation = not place
        theirs = [
            (line["accuracy"], line["model"])
            for line in published_mqar()
            if evaluation and (line["pairs"], line["width"]) == (pairs, dim)
        ]
        best = max(theirs, default=(None, None))
        table.append(
            {
                "lesson": order[place],
                "pairs": pairs,
                "inner_dim": dim,
                "cells": dim * dim,
                "load": float(np.mean([row.load for row in group])),
                "seeds": len(group),
                "scored": sum(row.scored for row in group),
                "accuracy": float(accuracy.mean()),
                "accuracy_sd": float(accuracy.std(ddof=1)) if len(group) > 1 else None,
                "predicted": float(np.mean([row.predicted for row in group])) if evaluation else None,
                "published_best": best[0],
                "published_model": best[1] or "",
            }
        )
    return table


def plot_mqar(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Accuracy against cells: a line for each number of pairs; crosses are published models by the size of their state,
    read off a plot. Beside it accuracy against pairs in cells: every width falls on one curve, but for its size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    sizes, loads = figure.subplots(1, 2, sharey=True)
    lines = [line for line in table if line["lesson"] == next(iter(LESSONS))]
    for number, pairs in enumerate(sorted({line["pairs"] for line in lines})):
        own = [line for line in lines if line["pairs"] == pairs]
        sizes.plot(
            [line["cells"] for line in own],
            [line["accuracy"] for line in own],
            f"C{number}o-",
            markersize=4,
            label=f"ours, {pairs} pairs",
        )
    states = [line for line in published_mqar() if line["figure"] == _STATE]
    for number, model in enumerate(dict.fromkeys(line["model"] for line in states)):
        own = [line for line in states if line["model"] == model]
        sizes.plot(
            [line["state"] for line in own],
            [line["accuracy"] for line in own],
            color=f"C{number}",
            linestyle=":",
            marker="x",
            linewidth=0.8,
            label=model,
        )
    sizes.set(xscale="log", xlabel="cells; numbers of a published model's state", ylabel="accuracy")
    sizes.legend(fontsize=6, ncols=2)
    for number, dim in enumerate(sorted({line["inner_dim"] for line in lines})):
        own = sorted((line for line in lines if line["inner_dim"] == dim), key=lambda line: line["load"])
        load = [line["load"] for line in own]
        loads.plot(load, [line["accuracy"] for line in own], f"C{number}o", markersize=4, label=f"{dim} x {dim} cells")
        loads.plot(load, [line["predicted"] for line in own], f"C{number}-", linewidth=0.8)
    loads.set(xscale="log", xlabel="pairs a cell; lines: what the law says")
    loads.legend(fontsize=7)
    return save_figure(figure, out, "mqar")
