"""How memorizing scales with shards: measured as far as there are cores, simulated beyond.

    python benchmarks/building/scaling.py --out docs/results [--tokens 2000000] [--repeat 3]

Measured: 1, 2, 4, ... shards, one process and one core each, on the same batches (standard library), without
tokenizing; and what one core spends on each stage. Costs are processor seconds, which others on the
machine change less. Simulated: up to 1,024 shards from those costs, T tokens of a
associations each,

    broadcast     every shard gets every token and hashes all of it (what is built)
                  T (scan + a c / S)
    partitioned   tokenizing workers hash, sort associations by shard and send each shard its own (not built)
                  T a c / S; workers spend T (scan + w p) more, 12 bytes go out for each of w = 3 associations a token

with c what updating ledger and banks for an association takes, p what sorting one takes. Beside them two limits of the
driver and of a machine's network link that both designs share. Writes scaling.json, scaling.csv, scaling.png.
"""

import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from benchmarks.common.script import add_out, script_parser, write_rows
from cluster.ray_session import local_cpus, ray_session
from console.bench import standard_library
from memo_dist.batches import read_batch
from memo_dist.files.batch_file import write_batches
from memo_dist.files.format import shard_file
from memo_dist.measuring.bench import ShardTask, associations_of, measure_core, shard_stages, token_count
from memo_dist.measuring.together import median_seconds, run_together
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.config import TextConfig
from pipelines.batching import stream_batches
from pipelines.tokenizing import choose_tokenizer

SHARDS = tuple(2**n for n in range(11))
PARAMETERS_PER_TOKEN = 50
UNIT_TOKENS = 3_000_000  # of a large corpus
NODE_SHARDS = 64
LINK_BYTES_PER_S = 1.25e9  # 10 Gbit/s
WINDOWS = 3  # associations a token before any are found to be equal


def corpus(tokens: int) -> tuple[MemoryConfig, list[pa.Table]]:
    plan = standard_library(3 * tokens)
    choice = choose_tokenizer(plan)
    config = TextConfig(num_banks=choice.tokens * PARAMETERS_PER_TOKEN // 256**2, vocab_size=choice.vocab_size)
    batches = stream_batches(plan, choice.tokenizer, config.context_length)
    return config, [
        table.replace_schema_metadata({**table.schema.metadata, b"tokenizer_hash": b""}) for table in batches
    ]


def measured(config: MemoryConfig, batches: list[pa.Table], shards: int, repeat: int) -> tuple[float, float, int]:
    """Seconds that so many shards at once take for all batches, and that processors work for them, medians; and the
    associations they end with."""
    times, cpu, associations = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_batches(batches, work / "batches.arrow")
        edges = [config.num_banks * i // shards for i in range(shards + 1)]
        for turn in range(repeat):
            tasks = [
                ShardTask(
                    config=config,
                    banks=range(a, b),
                    batches=work / "batches.arrow",
                    out=work / f"{turn}-{shard_file(i)}",
                    device="cpu",
                )
                for i, (a, b) in enumerate(itertools.pairwise(edges))
            ]
            _, memorized, _ = run_together(shard_stages, tasks)
            times.append(memorized.seconds)
            cpu.append(memorized.cpu_seconds)
            associations = sum(memorized.results)
            for task in tasks:
                task.out.unlink()
    return statistics.median(times), statistics.median(cpu), associations


def partition_seconds(config: MemoryConfig, batches: list[pa.Table]) -> float:
    """p: one core, to sort an association to one of 1,024 shards."""
    found = associations_of(config, [segment for table in batches[:8] for _, segment in read_batch(table, config)])

    def sort() -> None:
        for first in range(0, len(found), 1 << 18):
            names, tokens = found.names[first : first + (1 << 18)], found.tokens[first : first + (1 << 18)]
            order = np.argsort(bank_of(names, SHARDS[-1]).astype(np.uint16), kind="stable")
            _ = names[order], tokens[order]

    return median_seconds(sort) / len(found)


def call_seconds(calls: int = 2000) -> float:
    """What the driver spends on one call of an actor and its answer."""

    class Silent:
        def take(self, batch: Any) -> None:
            pass

    remote: Any = ray.remote(Silent)
    with ray_session(None, 2):
        actors = [remote.remote() for _ in range(2)]
        batch = ray.put(np.zeros(UNIT_TOKENS // 100, np.uint32))

        def call() -> None:
            ray.get([actors[i % 2].take.remote(batch) for i in range(calls)])

        return median_seconds(call) / calls


def simulated(costs: dict[str, float], shards: int) -> dict[str, float]:
    """Tokens a second of so many shards with a core each, and what limits them."""
    update = costs["associations_per_token"] * costs["update_s"] / shards
    nodes = -(-shards // NODE_SHARDS)
    driver = UNIT_TOKENS / (shards * costs["call_s"])
    sent = WINDOWS * 12 * (nodes - 1) / nodes / nodes  # a machine sends what is others' of its share of the tokens
    broadcast, partitioned = 1 / (costs["scan_s"] + update), 1 / update
    link = {"broadcast": LINK_BYTES_PER_S / 4, "partitioned": LINK_BYTES_PER_S / sent if sent else float("inf")}
    return {
        "shards": shards,
        "broadcast": min(broadcast, driver, link["broadcast"]),
        "partitioned": min(partitioned, driver, link["partitioned"]),
        "broadcast_without_limits": broadcast,
        "partitioned_without_limits": partitioned,
        "driver_limit": driver,
        "link_limit_broadcast": link["broadcast"],
        "link_limit_partitioned": link["partitioned"],
    }


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = found["simulated"]
    shards = [row["shards"] for row in rows]
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.plot(shards, [row["broadcast"] for row in rows], marker="o", label="every shard hashes everything (built)")
    axes.plot(shards, [row["partitioned"] for row in rows], marker="s", label="workers hash and sort (not built)")
    axes.plot(shards, [row["driver_limit"] for row in rows], color="grey", ls=":", label="one driver's calls")
    axes.plot(shards, [rows[0]["broadcast"] * n for n in shards], color="grey", ls="--", label="linear")
    points = [(row["shards"], row["tokens_per_s"]) for row in found["measured"]]
    axes.plot(*zip(*points, strict=True), "k*", ms=11, label="measured")
    axes.set(xscale="log", yscale="log", xlabel="shards, a core each", ylabel="tokens/s memorized")
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
    config, batches = corpus(asked.tokens)
    tokens = sum(map(token_count, batches))
    times = {n: measured(config, batches, n, asked.repeat) for n in SHARDS if n <= local_cpus()}
    core = measure_core(config, batches[: max(1, len(batches) // 4)])
    associations = times[1][2] / tokens
    scan = 1 / core["scan_tokens_per_s"]
    costs = {
        "scan_s": scan,
        "associations_per_token": associations,
        "update_s": (times[1][1] / tokens - scan) / associations,
        "partition_s": partition_seconds(config, batches),
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
        "half_at_shards": associations * costs["update_s"] / scan,
        "worker_core_seconds_more_a_token": scan + WINDOWS * costs["partition_s"],
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
