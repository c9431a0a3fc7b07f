"""SORT, told: means over seeds, one line a length of excerpts and segments, with the published figures in lines below.

Covers: the table, the plot. Does not cover: measuring (sort.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memo_dist.experiments.plots import save_figure
from memo_dist.experiments.published import published_sort
from memo_dist.experiments.report import seed_means
from memo_dist.experiments.sort import SortRow

GIVEN = "segments are held verbatim, and what is asked is which stands first"
_SETTINGS = ("excerpt", "segment", "pairs", "text")


def sort_table(rows: Sequence[SortRow]) -> list[dict[str, Any]]:
    """One line a length of excerpts and of segments, means over seeds; `guessed` is forward recall where half of the
    silences are guessed right. Then one a published way to tell, with the least and the greatest share."""
    table = []
    for line in seed_means(rows, _SETTINGS):
        silent = 1 - line["forward_right"] - line["forward_wrong"]
        line |= {"guessed": line["forward_right"] + silent / 2, "least": None, "greatest": None, "source": GIVEN}
        table.append({"system": "memo-dist"} | line)
    empty = dict.fromkeys(table[0]) if table else {}
    return table + [empty | theirs for theirs in published_sort()]


def plot_sort(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Shares right against words of an excerpt; bands: published; crosses: the control in another order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    ours = [line for line in table if line["system"] == "memo-dist"]
    named = {"where_right": ("places", "s-"), "forward_right": ("recall onward", "o-")}
    named |= {"mixed_right": ("control: paragraphs in another order", "x")}
    for number, segment in enumerate(sorted({line["segment"] for line in ours})):
        own = [line for line in ours if line["segment"] == segment]
        for name, (label, style) in named.items():
            words, shares = [line["excerpt"] for line in own], [line[name] for line in own]
            panel.plot(words, shares, style, color=f"C{number}", markersize=5, label=f"{label}, {segment} words")
    theirs = [line for line in table if line["system"] in ("text in context", "retrieval")]
    for number, line in enumerate(theirs):
        shade = f"C{number + 2}"
        panel.axhspan(line["least"], line["greatest"], color=shade, alpha=0.15, label=f"published: {line['system']}")
    panel.axhline(0.5, color="grey", linewidth=0.8, label="chance")
    panel.set(xscale="log", ylim=(-0.05, 1.05), xlabel="words of an excerpt", ylabel="share of pairs told rightly")
    panel.legend(fontsize=6)
    return save_figure(figure, out, "sort")
