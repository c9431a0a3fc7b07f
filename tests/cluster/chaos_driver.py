"""A build in a process of its own, for tests that kill it: python chaos_driver.py ADDRESS CORPUS OUT SHARDS PLACE.

PLACE is "memory" or "disk", where banks and ledger live.
"""

import sys
import time
from pathlib import Path

import cluster.run
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.plan import CorpusOptions, CorpusPlan

UNIT_SECONDS = 0.04  # so that a kill meets a build of seconds, not of milliseconds


def main() -> None:
    """Build with small units and a checkpoint about every second; print the digest."""
    address, corpus, out, shards, place = sys.argv[1:]
    tight = (700 + 340 * int(shards)) * 10**6  # enough for the processes, not for these banks in memory
    cluster.run._MOST_UNDER_WAY = 4
    options = BuildOptions(
        tokenizer="bytes",
        num_banks=40,
        inner_dim=64,
        resources=Resources(
            shards=int(shards),
            address=address,
            memory_budget=tight if place == "disk" else None,
            checkpoint_every=0.3,
        ),
        corpus=CorpusOptions(unit_bytes=1500),
    )
    shown = sys.stdout  # Ray's session takes stdout for its own reports

    def slowly(progress: Progress) -> None:
        print("unit", file=shown, flush=True)
        time.sleep(UNIT_SECONDS)

    def check(_: CorpusPlan, plan: MemoryPlan) -> None:
        assert plan.out_of_core == (place == "disk"), plan

    summary = build([corpus], Path(out), options, on_plan=check, on_progress=slowly)
    print(summary.digest, summary.losses, summary.units_before, flush=True)


if __name__ == "__main__":
    main()
