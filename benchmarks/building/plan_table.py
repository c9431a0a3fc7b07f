"""The table of docs/explanation/scaling.md: what 10^9 to 10^12 tokens take, from measured rates.

    memo-dist bench --json > bench.json
    python benchmarks/building/plan_table.py bench.json [--cores 64] [--nodes 1 1 10 100]

Prints Markdown. Other machines are taken to be as fast, a core, as the one that was measured; disks are not shared.
"""

from typing import Any

from benchmarks.common.script import command, script_parser
from memo_dist.sizes import show_bytes, show_seconds

TOKENS = ("1e9", "1e10", "1e11", "1e12")


def plan(tokens: str, nodes: int, cores: int, rates: str) -> dict[str, Any]:
    return command("plan", "--tokens", tokens, "--nodes", nodes, "--cores", cores, "--rates", rates)


def row(tokens: str, nodes: int, told: dict[str, Any]) -> dict[str, str]:
    seconds, (one_bit, two_bits, *_, wider) = told["seconds"], told["published"]
    return {
        "tokens": tokens,
        "machines": str(nodes),
        "banks": f"{told['config']['num_banks']:,}",
        "parameters/token": f"{told['parameters_per_token']:.1f}",
        "associations/token": f"{told['expected_associations'] / told['tokens']:.2f}",
        "disk": show_bytes(told["expected_disk_bytes"]),
        "RAM a machine": show_bytes(told["node_bytes"]),
        "RAM, one worker at a time": show_bytes(told["least_node_bytes"]),
        "1 bit": f"{show_bytes(one_bit['bytes'])}, {one_bit['recall']:.3f}",
        "2 bits": f"{show_bytes(two_bits['bytes'])}, {two_bits['recall']:.3f}",
        "1 bit, more banks": f"{show_bytes(wider['bytes'])}, {wider['recall']:.3f}",
        **{name: show_seconds(seconds[name]) for name in ("tokenize", "hash", "sort and merge", "write")},
        "time": show_seconds(told["total_seconds"]),
    }


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("rates")
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--nodes", type=int, nargs=len(TOKENS), default=[1, 1, 10, 100])
    asked = parser.parse_args()
    rows = [row(t, n, plan(t, n, asked.cores, asked.rates)) for t, n in zip(TOKENS, asked.nodes, strict=True)]
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for one in rows:
        print("| " + " | ".join(one.values()) + " |")


if __name__ == "__main__":
    main()
