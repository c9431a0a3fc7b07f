"""How memorizing scales with cores: measured as far as there are cores, simulated beyond.

    python benchmarks/building/scaling.py --out docs/results [--tokens 2000000] [--repeat 3]

Measured: 1, 2, 4, ... processes of one core each, on the same batches (standard library), without tokenizing: each
makes the sorted runs of its share, then merges its banks out of all runs into a file. And what one core spends on each
stage. Costs are processor seconds, which others on the machine change less. Simulated: up to 1,024 cores from those
costs, T tokens of a associations each,

    sorted runs   every token is hashed once, wherever (what is built)
                  T (scan + a c) / S; 10 bytes go to a machine's disk, and on to another, for each of w = 5
                  associations a token
    broadcast     every shard gets every token and hashes all of it (what was built before)
                  T (scan + a c / S)

with c what sorting, counting and merging an association takes and updating its bank, w as many as the memory has
windows. Beside them the limits of a machine's network link and of the driver, which calls once a split, or once a split
and shard. Writes scaling.json, scaling.csv, scaling.png.
"""

import itertools
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from benchmarks.common.script import add_out, script_parser, write_rows
from cluster.machine import local_cpus
from cluster.ray_session import ray_session
from console.bench import standard_library
from memo_dist.files.batch_file import write_batches
from memo_dist.files.format import shard_file
from memo_dist.measuring.bench import ShardTask, measure_core, shard_stages, token_count
from memo_dist.measuring.together import median_seconds, run_together
from memo_dist.models.text.config import DEFAULT_WINDOWS, TextConfig
from memo_dist.planning.processes import STORED_RUN_BYTES
from memo_dist.tokenizer import Tokenizer
from pipelines.batching import stream_batches
from pipelines.tokenizing import choose_tokenizer

SHARDS = tuple(2**n for n in range(11))
PARAMETERS_PER_TOKEN = 50
SPLIT_TOKENS = 3_000_000  # of a large corpus
NODE_SHARDS = 64
LINK_BYTES_PER_S = 1.25e9  # 10 Gbit/s
WINDOWS = len(DEFAULT_WINDOWS)  # associations a token before any are found to be equal


def corpus(tokens: int) -> tuple[TextConfig, Tokenizer, list[pa.Table]]:
    plan = standard_library(3 * tokens)
    choice = choose_tokenizer(plan)
    assert choice.tokenizer is not None
    banks = max(local_cpus(), choice.tokens * PARAMETERS_PER_TOKEN // 256**2)
    config = TextConfig(num_banks=banks, vocab_size=choice.vocab_size)
    batches = list(stream_batches(plan, choice.tokenizer, config.context_length))
    return config, choice.tokenizer, batches


def measured(
    config: TextConfig, tokenizer: Tokenizer, batches: list[pa.Table], *, shards: int, repeat: int
) -> tuple[float, float, int]:
    """Seconds that so many processes at once take for all batches, and that processors work for them, medians; and the
    associations they end with."""
    times, cpu, associations = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_batches(batches, work / "batches.arrow")
        edges = [config.num_banks * i // shards for i in range(shards + 1)]
        for turn in range(repeat):
            out = work / str(turn)
            out.mkdir()
            tasks = [
                ShardTask(
                    config=config,
                    tokenizer=tokenizer,
                    banks=range(a, b),
                    first=i,
                    processes=shards,
                    batches=work / "batches.arrow",
                    out=out / shard_file(i),
                    device="cpu",
                )
                for i, (a, b) in enumerate(itertools.pairwise(edges))
            ]
            _, made, merged, _ = run_together(shard_stages, tasks)
            times.append(made.seconds + merged.seconds)
            cpu.append(made.cpu_seconds + merged.cpu_seconds)
            associations = sum(record.associations for record, _ in merged.results)
            shutil.rmtree(out)
    return statistics.median(times), statistics.median(cpu), associations


def call_seconds(calls: int = 2000) -> float:
    """What the driver spends on one call of an actor and its answer."""

    class Silent:
        def take(self, batch: Any) -> None:
            pass

    remote: Any = ray.remote(Silent)
    with ray_session(None, 2):
        actors = [remote.remote() for _ in range(2)]
        batch = ray.put(np.zeros(SPLIT_TOKENS // 100, np.uint32))

        def call() -> None:
            ray.get([actors[i % 2].take.remote(batch) for i in range(calls)])

        return median_seconds(call) / calls


def simulated(costs: dict[str, float], shards: int) -> dict[str, float]:
    """Tokens a second of so many cores, and what limits them."""
    update = costs["associations_per_token"] * costs["update_s"]
    nodes = -(-shards // NODE_SHARDS)
    driver = {"runs": SPLIT_TOKENS / costs["call_s"], "broadcast": SPLIT_TOKENS / (shards * costs["call_s"])}
    # a machine sends what is others' of its share of the runs
    sent = WINDOWS * STORED_RUN_BYTES * (nodes - 1) / nodes / nodes
    runs, broadcast = shards / (costs["scan_s"] + update), 1 / (costs["scan_s"] + update / shards)
    link = {"runs": LINK_BYTES_PER_S / sent if sent else float("inf"), "broadcast": LINK_BYTES_PER_S / 4}
    return {
        "shards": shards,
        "runs": min(runs, driver["runs"], link["runs"]),
        "broadcast": min(broadcast, driver["broadcast"], link["broadcast"]),
        "runs_without_limits": runs,
        "broadcast_without_limits": broadcast,
        "driver_limit_runs": driver["runs"],
        "driver_limit_broadcast": driver["broadcast"],
        "link_limit_runs": link["runs"],
        "link_limit_broadcast": link["broadcast"],
    }


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = found["simulated"]
    shards = [row["shards"] for row in rows]
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.plot(shards, [row["runs"] for row in rows], marker="o", label="sorted runs")
    axes.plot(shards, [row["broadcast"] for row in rows], marker="s", label="every shard hashes everything (before)")
    axes.plot(shards, [row["driver_limit_runs"] for row in rows], color="grey", ls=":", label="one driver's calls")
    axes.plot(shards, [rows[0]["runs"] * n for n in shards], color="grey", ls="--", label="linear")
    points = [(row["shards"], row["tokens_per_s"]) for row in found["measured"]]
    axes.plot(*zip(*points, strict=True), "k*", ms=11, label="measured")
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="tokens/s memorized")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    add_out(parser)
    asked = parser.parse_args()
    began = time.perf_counter()
    config, tokenizer, batches = corpus(asked.tokens)
    tokens = sum(map(token_count, batches))
    times = {
        n: measured(config, tokenizer, batches, shards=n, repeat=asked.repeat) for n in SHARDS if n <= local_cpus()
    }
    core = measure_core(config, batches[: max(1, len(batches) // 4)], tokenizer=tokenizer)
    associations = times[1][2] / tokens
    scan = 1 / core["scan_tokens_per_s"]
    costs = {
        "scan_s": scan,
        "associations_per_token": associations,
        "update_s": (times[1][1] / tokens - scan) / associations,
        "call_s": call_seconds(),
    }
    rows = [simulated(costs, n) for n in SHARDS]
    found = {
        "tokens": tokens,
        "banks": config.num_banks,
        "costs": costs,
        "stages": core,
        "measured": [
            {
                "shards": n,
                "tokens_per_s": tokens / seconds,
                "efficiency": times[1][0] / seconds / n,
                "tokens_per_cpu_second": tokens / cpu,
                "efficiency_by_cpu_seconds": times[1][1] / cpu,
            }
            for n, (seconds, cpu, _) in times.items()
        ],
        "simulated": rows,
        "seconds": time.perf_counter() - began,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "scaling.json").write_text(json.dumps(found, indent=1).replace("Infinity", "null") + "\n")
    write_rows(asked.out / "scaling.csv", rows)
    plot(found, asked.out / "scaling.png")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
