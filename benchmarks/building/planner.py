"""What was planned against what was measured: recall, memory, disk and time of real builds.

    memo-dist bench --json > bench.json
    python benchmarks/building/planner.py --rates bench.json --corpus code=PATH [--corpus prose=PATH ...] --out DIR

Each corpus is built twice: as the plan says for .99, and with fewer banks. The figures to compare with come from
`memo-dist plan --sample` of the same text, before; recall and its ceiling from `memo-dist evaluate`; peak memory as the
build itself measures it (proportional set sizes of all its processes). Writes planner.json and prints a table.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common.script import add_out, command, script_parser, write_json

FEWER = 0.7  # banks of the second build


def measure(name: str, path: str, rates: Path, flags: list[str], folder: Path, bits: int) -> list[dict[str, Any]]:
    """The rows of one corpus."""
    rows: list[dict[str, Any]] = []
    banks: int | None = None
    for _ in range(2):
        shape: list[object] = [] if banks is None else ["--banks", banks]
        plan = command("plan", "--sample", path, *flags, "--rates", rates, *shape)
        banks = int(plan["config"]["num_banks"])
        memory = folder / f"{name}-{banks}.memo"
        built = command("build", path, *flags, "--out", memory, "--banks", banks)
        found = command("evaluate", memory, path, *flags, "--prompts", 0, "--sample", 10_000)
        row = compared(name, plan, built, found)
        if len(rows) == 0:
            small = folder / f"{name}-{bits}.memo"
            row |= few_bits(plan, memory, small, [path, *flags], bits)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        subprocess.run(["rm", "-r", str(memory)], check=True)
        banks = round(FEWER * banks)
    return rows


def compared(name: str, plan: dict[str, Any], built: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Planned and measured figures of one build."""
    return {
        "corpus": name,
        "tokens": built["tokens"],
        "banks": plan["config"]["num_banks"],
        "parameters_per_token": plan["parameters_per_token"],
        "recall": [plan["recall"], found["recall"] / found["ceiling"]],
        "associations": [plan["expected_associations"], built["associations"]],
        "peak_bytes": [plan["expected_peak_bytes"], built["peak_bytes"]],
        "most_peak_bytes": plan["peak_bytes"],
        "disk_bytes": [plan["expected_disk_bytes"], built["bytes_on_disk"]],
        "seconds": [plan["total_seconds"], sum(built["seconds"].values())],
        "stages": [plan["seconds"], built["seconds"]],
    }


def few_bits(plan: dict[str, Any], memory: Path, small: Path, corpus: list[str], bits: int) -> dict[str, Any]:
    """The same at a few bits a cell."""
    banks = command("inspect", memory)["banks"]
    said = command("publish", memory, "--form", "sums", "--bits", bits, "--banks", banks, "--out", small)
    found = command("evaluate", small, *corpus, "--prompts", 0, "--sample", 10_000)
    planned = next(one for one in plan["published"] if one["bits"] == bits)
    subprocess.run(["rm", "-r", str(small)], check=True)
    return {
        "bits": bits,
        "published_recall": [planned["recall"], found["recall"] / found["ceiling"]],
        "published_bytes": [planned["bytes"], said["bytes_on_disk"]],
    }


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Planned / measured")
    for column in (
        "corpus",
        "tokens",
        "parameters/token",
        "recall",
        "peak GB",
        "disk GB",
        "seconds",
        "recall, few bits",
    ):
        table.add_column(column, justify="left" if column == "corpus" else "right")
    for row in rows:
        peak, disk = ([value / 1e9 for value in row[name]] for name in ("peak_bytes", "disk_bytes"))
        cells = [row["corpus"], f"{row['tokens']:,}", f"{row['parameters_per_token']:.1f}"]
        cells += [f"{row['recall'][0]:.4f} / {row['recall'][1]:.4f}", f"{peak[0]:.2f} / {peak[1]:.2f}"]
        cells += [f"{disk[0]:.3f} / {disk[1]:.3f}", f"{row['seconds'][0]:.0f} / {row['seconds'][1]:.0f}"]
        bits = row.get("published_recall")
        table.add_row(*cells, f"{bits[0]:.4f} / {bits[1]:.4f} at {row['bits']}" if bits else "-")
    Console().print(table)


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--rates", type=Path, required=True)
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--exclude", help="glob of files to leave out")
    parser.add_argument("--bits", type=int, default=1)
    add_out(parser)
    asked = parser.parse_args()
    flags = ["--errors", "skip", *(["--exclude", asked.exclude] if asked.exclude else [])]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in (item.split("=", 1) for item in asked.corpus):
            rows += measure(name, path, asked.rates, flags, Path(folder), asked.bits)
            write_json(asked.out / "planner.json", rows)
    show(rows)


if __name__ == "__main__":
    main()
