"""A build in a process of its own, for tests that kill it: python chaos_driver.py ADDRESS CORPUS OUT SHARDS."""

import sys
import time
from pathlib import Path

import cluster.run
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.run import Progress
from pipelines.plan import CorpusOptions

UNIT_SECONDS = 0.04  # so that a kill meets a build of seconds, not of milliseconds


def main() -> None:
    """Build with small units and a checkpoint about every second; print the digest."""
    address, corpus, out, shards = sys.argv[1:]
    cluster.run._MAX_WINDOW = 4
    options = BuildOptions(
        tokenizer="bytes",
        num_banks=40,
        inner_dim=64,
        shards=int(shards),
        address=address,
        corpus=CorpusOptions(unit_bytes=1500),
        checkpoint_every=0.3,
    )
    shown = sys.stdout  # Ray's session takes stdout for its own reports

    def slowly(progress: Progress) -> None:
        print("unit", file=shown, flush=True)
        time.sleep(UNIT_SECONDS)

    summary = build([corpus], Path(out), options, on_progress=slowly)
    print(summary.digest, summary.losses, summary.units_before, flush=True)


if __name__ == "__main__":
    main()
