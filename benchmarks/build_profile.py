"""Where the time of a build goes: how much of it is neither tokenizing nor memorizing.

    python benchmarks/build_profile.py PATH [--limit N] [--parameters-per-token 60] [--repeat 3] [--out FILE.json]

Builds on a Ray of its own and reads Ray's timeline. "Inside" is the union of the intervals in which a tokenizer is
trained, a unit is tokenized or a batch is memorized; everything else, starting and stopping Ray included, is outside.
Prints the median over the repeats.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from rich.console import Console
from rich.table import Table

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.session import local_cpus, ray_session
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import choose_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--parameters-per-token", type=float, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    corpus = CorpusOptions(errors="skip", limit=arguments.limit)
    tokens = choose_tokenizer(plan_corpus([arguments.path], corpus)).tokens
    options = BuildOptions(corpus=corpus, num_banks=int(arguments.parameters_per_token * tokens / 256**2))
    runs = [profile(arguments.path, options) for _ in range(arguments.repeat)]
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    table = Table(title=f"Median of {len(runs)} builds of {arguments.path}", show_header=False, title_justify="left")
    for key, value in median.items():
        table.add_row(key, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps({"median": median, "runs": runs}, indent=1) + "\n")


def profile(path: str, options: BuildOptions) -> dict[str, Any]:
    """One build; seconds by stage, and the share outside."""
    planned_at = 0.0

    def on_plan(*_: object) -> None:
        nonlocal planned_at
        planned_at = time.time()

    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        with ray_session(None, local_cpus()):
            started = time.time()
            summary = build([path], Path(folder) / "m.memo", options, on_plan)
            ended = time.time()
            time.sleep(2)  # Ray's task events arrive late; not counted
            events = ray.timeline()
            stopping = time.time()
        finished = time.time()
    inside = [(planned_at - summary.seconds["tokenizer"], planned_at)]
    inside += [
        (e["ts"] / 1e6, (e["ts"] + e["dur"]) / 1e6)
        for e in events
        if e.get("ph") == "X" and e["name"] == "task:execute"
    ]
    total = ended - began + finished - stopping
    busy = union(inside)
    return {
        "tokens": summary.tokens,
        "seconds": total,
        "start_ray": started - began,
        **{name: seconds for name, seconds in summary.seconds.items() if name != "stop"},
        "stop_ray": finished - stopping,
        "inside": busy,
        "outside_share": 1 - busy / total,
        "outside_share_without_ray_start_and_stop": 1 - busy / (ended - started),
        "tokens_per_s_while_memorizing": summary.tokens / summary.seconds["memorize"],
    }


def union(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


if __name__ == "__main__":
    main()
