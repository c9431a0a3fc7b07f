"""Bits a cell against recall: a memory published in several ways, each evaluated on its corpus.

    python benchmarks/recall/published.py M.memo INPUT... --include '**/*.py' --out docs/results

Every way is a number of banks (`memo-dist rebank`, from the ledger alone) and of bits (`memo-dist publish`). Writes
published.csv and published.png: bytes a token, next-token recall, and verbatim continuations of 30 tokens, beside the
memory itself.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common.script import add_memory_and_corpus, add_out, command, script_parser, write_rows

WAYS = ((1.0, 16), (1.0, 4), (1.0, 2), (1.0, 1), (1.6, 1), (2.0, 1), (2.4, 1))  # banks as a multiple, bits


def row(name: str, banks: int, bits: int, size: int, tokens: int, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "memory": name,
        "banks": banks,
        "bits": bits,
        "bytes": size,
        "bytes_per_token": round(size / tokens, 2),
        "recall": round(found["recall"], 4),
        "ceiling": round(found["ceiling"], 4),
        **{f"verbatim_{length}": share for length, share in found["verbatim"].items()},
    }


def measure(memory: Path, corpus: list[str]) -> list[dict[str, Any]]:
    facts = command("inspect", memory)
    rows = [
        row("full", facts["banks"], 16, facts["bytes_on_disk"], facts["tokens"], command("evaluate", memory, *corpus)),
    ]
    with tempfile.TemporaryDirectory(dir=memory.absolute().parent) as folder:
        for multiple, bits in WAYS:
            banks, source = round(multiple * facts["banks"]), memory
            if banks != facts["banks"]:
                source = Path(folder) / f"{banks}.memo"
                if not source.exists():
                    command("rebank", memory, "--banks", banks, "--out", source)
            out = Path(folder) / f"{banks}-{bits}.memo"
            published = command("publish", source, "--form", "sums", "--bits", bits, "--banks", banks, "--out", out)
            size = published["bytes_on_disk"]
            rows.append(row("published", banks, bits, size, facts["tokens"], command("evaluate", out, *corpus)))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for bits in sorted({one["bits"] for one in rows}):
        points = sorted(
            (r["bytes_per_token"], r["recall"]) for r in rows if r["bits"] == bits and r["memory"] != "full"
        )
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{bits} bits" if bits > 1 else "1 bit, more banks")
    axes.axhline(
        rows[0]["recall"], color="grey", ls="--", label=f"the memory, {rows[0]['bytes_per_token']:.0f} B a token"
    )
    axes.set(xscale="log", xlabel="bytes a token on disk", ylabel="next-token recall")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = script_parser(__doc__)
    add_memory_and_corpus(parser, errors="strict")
    parser.add_argument("--sample", default="5000")
    parser.add_argument("--prompts", default="200")
    add_out(parser)
    asked = parser.parse_args()
    corpus = [*asked.inputs, "--include", asked.include, "--errors", asked.errors]
    rows = measure(asked.memory, [*corpus, "--sample", asked.sample, "--prompts", asked.prompts])
    write_rows(asked.out / "published.csv", rows)
    plot(rows, asked.out / "published.png")


if __name__ == "__main__":
    main()
