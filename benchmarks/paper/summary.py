"""The tables of docs/explanation/paper.md, from what `memo-dist reproduce` wrote.

python benchmarks/paper/summary.py DIR
"""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.common.script import script_parser

Rows = list[dict[str, Any]]


def read(path: Path) -> Rows:
    """A table's rows, numbers as numbers, what is missing as None."""
    with open(path, newline="", encoding="utf-8") as handle:
        return [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(handle)]


def _value(text: str) -> Any:
    if text == "":
        return None
    try:
        return float(text) if "." in text or "e" in text else int(text)
    except ValueError:
        return text


def fidelity(rows: Rows) -> None:
    """How far the paper's rows are from the published ones."""
    groups: dict[tuple[int, int, int], Rows] = defaultdict(list)
    for row in rows:
        if row["preset"] == "paper" and row["difference"] is not None:
            groups[row["inner_dim"], row["decoys"], row["num_layers"]].append(row)
    print("| d | decoys | layers | batches | seeds | batch 0: ours, sd, published | largest difference | rows beyond |")
    print("|---|---|---|---|---|---|---|---|")
    for (dim, decoys, layers), group in sorted(groups.items()):
        bound = 0.05 if decoys else 0.02
        first = min(group, key=lambda row: row["iteration"])
        worst = max(group, key=lambda row: abs(row["difference"]))
        beyond = [f"batch {r['iteration']}: {r['difference']:+.3f}" for r in group if abs(r["difference"]) > bound]
        spread = f"{first['recall_first_sd']:.3f}" if first["recall_first_sd"] is not None else "-"
        print(
            f"| {dim} | {decoys} | {layers} | {len(group)} | {min(r['seeds'] for r in group)} "
            f"| {first['recall_first']:.4f}, {spread}, {first['published_first']:.4f} "
            f"| {worst['difference']:+.4f} | {'; '.join(beyond) or '-'} |"
        )


def presets(rows: Rows) -> None:
    """The two presets side by side where there are decoys: batches 0, 1, 4 and 9."""
    by_key = {(r["preset"], r["inner_dim"], r["num_layers"], r["decoys"], r["iteration"]): r for r in rows}
    print("| d | decoys | layers | " + " | ".join(f"batch {i}: paper, text" for i in (0, 1, 4, 9)) + " |")
    print("|---" * 7 + "|")
    for dim, decoys, layers in sorted({k[1:2] + k[3:4] + k[2:3] for k in by_key if k[3]}):
        cells = []
        for i in (0, 1, 4, 9):
            pair = [by_key.get((p, dim, layers, decoys, i)) for p in ("paper", "text")]
            cells.append(", ".join("-" if r is None else f"{r['recall_first']:.3f}" for r in pair))
        print(f"| {dim} | {decoys} | {layers} | {' | '.join(cells)} |")
    pairs = [(r, by_key.get(("text", *k[1:]))) for k, r in by_key.items() if k[0] == "paper" and k[3]]
    known = [(paper, text) for paper, text in pairs if text is not None]
    lower = [(p, t) for p, t in known if t["recall_first"] < p["recall_first"]]
    asked = [(p, t) for p, t in known if p["recall_first"] < 0.6 and t["load"] < 0.02]
    print(f"\n{len(known)} rows with decoys; text is below paper in {len(lower)}", end="")
    if lower:
        print(
            f": their loads are {min(t['load'] for _, t in lower):.3f} and more, "
            f"recall of the paper {max(p['recall_first'] for p, _ in lower):.3f} and less"
        )
    print(
        f"paper under .60 at a load under .02: {len(asked)} rows, text", [round(t["recall_first"], 4) for _, t in asked]
    )


def capacity(rows: Rows) -> None:
    """How far capacities are from the published ones."""
    for preset in ("paper", "text"):
        mine = [r for r in rows if r["preset"] == preset and r["published"] is not None]
        good = [r for r in mine if abs(r["difference_batches"]) <= 1 or abs(r["difference_share"]) <= 0.08]
        equal = [r for r in mine if r["difference_batches"] == 0]
        print(f"capacity, {preset}: {len(mine)} rows, {len(equal)} equal, {len(good)} within one batch or 8%")


def main() -> None:
    """Print all tables."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    layers = read(folder / "layers.csv")
    fidelity(layers)
    print()
    presets(layers)
    print()
    capacity(read(folder / "capacity.csv"))


if __name__ == "__main__":
    main()
