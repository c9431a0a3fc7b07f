"""Plots of the experiments, published figures beside measured ones, as PNG and SVG.

Covers: drawing the tables of report.py. Does not cover: computing them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.durable import writing

_DOTS_PER_INCH = 120


@dataclass(frozen=True)
class _Style:
    """How a preset is drawn; the published figures are shown beside one of them."""

    line: str
    marker: str
    published: bool


_STYLES = {"paper": _Style("-", "o", published=True), "text": _Style("--", "s", published=False)}


def plot_layers(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Recall of the first batch against tokens memorized: a panel for each size and number of decoys, a colour for each
    number of layers; lines are means over seeds with their standard deviation, crosses the published figures."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    dims, decoys = (sorted({line[key] for line in table}) for key in ("inner_dim", "decoys"))
    layers = sorted({line["num_layers"] for line in table})
    figure = Figure(figsize=(4.2 * len(decoys), 3.2 * len(dims) + 0.6), layout="constrained")
    panels = figure.subplots(len(dims), len(decoys), squeeze=False, sharey=True)
    for row, dim in enumerate(dims):
        for column, count in enumerate(decoys):
            panel = panels[row, column]
            if not any((line["inner_dim"], line["decoys"]) == (dim, count) for line in table):
                panel.set_visible(False)
                continue
            panel.set_title(f"{dim} x {dim} parameters, {count} decoys", fontsize=9)
            panel.set_xlabel("tokens memorized (thousands)", fontsize=8)
            for layer, name in [(a, b) for a in layers for b in _STYLES]:
                lines = _chosen(table, inner_dim=dim, decoys=count, num_layers=layer, preset=name)
                _draw_run(panel, lines, f"C{layers.index(layer)}", style=_STYLES[name])
        panels[row, 0].set_ylabel("next-token recall, first batch", fontsize=8)
    handles = [
        *(Line2D([], [], color=f"C{i}", label=f"L = {layer}") for i, layer in enumerate(layers)),
        Line2D([], [], color="black", linestyle="-", label="preset paper"),
        Line2D([], [], color="black", linestyle="--", label="preset text"),
        Line2D([], [], color="black", marker="x", linestyle="", label="published"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    return save_figure(figure, out, "layers")


def _chosen(table: list[dict[str, Any]], **values: object) -> list[dict[str, Any]]:
    """The lines that have these values."""
    return [line for line in table if all(line[name] == value for name, value in values.items())]


def _draw_run(panel: Any, lines: list[dict[str, Any]], color: str, *, style: _Style) -> None:
    thousands = [line["tokens"] / 1000 for line in lines]
    spread = [line["recall_first_sd"] or 0.0 for line in lines]
    recall = [line["recall_first"] for line in lines]
    panel.errorbar(thousands, recall, spread, color=color, linestyle=style.line, linewidth=1.2, capsize=2)
    if style.published:
        known = [(t, line["published_first"]) for t, line in zip(thousands, lines, strict=True)]
        panel.plot(
            [t for t, value in known if value is not None],
            [value for _, value in known if value is not None],
            linestyle="",
            marker="x",
            color=color,
            markersize=5,
        )


def plot_capacity(table: list[dict[str, Any]], out: Path) -> list[Path]:
    """Pairs stored when recall falls below 90%, against parameters, both logarithmic; the line is the law."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    panel = figure.subplots()
    published = [(line["parameters"], line["published"]) for line in table if line["published"] is not None]
    for preset, style in _STYLES.items():
        lines = _chosen(table, preset=preset)
        panel.plot(
            [line["parameters"] for line in lines],
            [max(line["pairs_at_90"], 1) for line in lines],
            style.marker,
            fillstyle="none",
            label=f"preset {preset}",
        )
    panel.plot([p for p, _ in published], [pairs for _, pairs in published], "kx", label="published")
    ends = np.array([min(line["parameters"] for line in table), max(line["parameters"] for line in table)])
    panel.plot(ends, 0.0308 * ends, color="grey", linewidth=1, label="capacity law, .0308 a parameter")
    panel.set(xscale="log", yscale="log", xlabel="parameters", ylabel="pairs stored when recall falls below 90%")
    panel.set_ylim(bottom=300)
    panel.legend(fontsize=8)
    return save_figure(figure, out, "capacity")


def save_figure(figure: Any, out: Path, name: str) -> list[Path]:
    """Write `name`.png and `name`.svg.

    Raises:
        StorageError: they cannot be written.
    """
    paths = [out / f"{name}.png", out / f"{name}.svg"]
    for path in paths:
        with writing(path):
            figure.savefig(path, dpi=_DOTS_PER_INCH)
    return paths
