"""The pass key, told: means over seeds, one line a filler and length, with the published figures in lines below them.

Covers: the table, the plot. Does not cover: measuring (needle.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memo_dist.experiments.needle import NeedleRow
from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_needle
from memo_dist.experiments.report import seed_means

GIVEN = "the question is the beginning of the sentence that tells the key"
_SETTINGS = ("filler", "length", "num_banks", "trials", "text")


def needle_table(rows: Sequence[NeedleRow]) -> list[dict[str, Any]]:
    """One line a filler, length and number of banks, means over seeds; then one a published system and length."""
    table = [
        {"system": "memo-dist", "task": "pass key"} | line | {"accuracy": None, "facts": None, "source": GIVEN}
        for line in seed_means(rows, _SETTINGS)
    ]
    empty = dict.fromkeys(table[0]) if table else {}
    for theirs in published_needle():
        line = empty | {name: theirs[name] for name in ("system", "task", "accuracy", "source")}
        table.append(line | {"length": theirs["tokens"] or None, "facts": theirs["facts"] or None})
    return table


def plot_needle(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Pass keys told rightly against tokens of text, of one memory; dotted: published systems on BABILong."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    panel = figure.subplots()
    ours = [line for line in table if line["filler"] == "prose"]
    named = {"ledger_right": ("ledger", "o-"), "matrices_right": ("matrices", "s-"), "predicted": ("law", "-")}
    named |= {"absent_ledger": ("control: no key told, ledger", "x"), "two_ledger": ("control: two keys, ledger", "+")}
    for number, banks in enumerate(sorted({line["num_banks"] for line in ours})):
        own = [line for line in ours if line["num_banks"] == banks]
        for shade, (name, (label, style)) in enumerate(named.items()):
            panel.plot(
                [line["length"] for line in own],
                [line[name] for line in own],
                style,
                color=f"C{shade}",
                alpha=1 / (1 + number),
                markersize=5,
                label=f"{label}, {own[0]['cells'] / 1e6:.2f} M cells",
            )
    theirs = [line for line in table if line["system"] != "memo-dist" and line["length"]]
    for number, system in enumerate(dict.fromkeys(line["system"] for line in theirs)):
        own = [line for line in theirs if line["system"] == system]
        tokens, accuracy = [line["length"] for line in own], [line["accuracy"] for line in own]
        panel.plot(tokens, accuracy, ":.", color=f"C{number}", linewidth=0.8, label=system)
    panel.set(xscale="log", ylim=(-0.05, 1.05), xlabel="tokens of text", ylabel="share right (dotted: BABILong)")
    panel.legend(fontsize=6, ncols=2)
    return save_figure(figure, out, "needle")
