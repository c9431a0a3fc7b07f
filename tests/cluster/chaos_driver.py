"""A build in a process of its own, for tests that kill it: python chaos_driver.py ADDRESS CORPUS OUT SHARDS SLICES.

SLICES is "small" or "large": how much of the memory is merged at a time; with small slices merging takes seconds.
"""

import sys
import time
from pathlib import Path
from typing import Any

import cluster.merge_phase
import cluster.workspace
import memo_dist.planning.fit
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from pipelines.plan import CorpusOptions

UNIT_SECONDS = 0.04  # so that a kill meets a build of seconds, not of milliseconds


def main() -> None:
    """Build with small splits; print a line at every split, file and step between; last, the digest."""
    address, corpus, out, shards, slices = sys.argv[1:]
    shown = sys.stdout  # Ray's session takes stdout for its own reports
    if slices == "small":
        memo_dist.planning.fit.MAX_SLICE = 60_000  # four banks

    def slowly(progress: Progress | None = None) -> None:
        print("step", file=shown, flush=True)
        time.sleep(UNIT_SECONDS)

    def before(kind: type, method: str) -> None:
        """A step before what a class does: between a shard's file and its record, and before the manifest."""
        done = getattr(kind, method)

        def stepped(*arguments: Any, **named: Any) -> Any:
            slowly()
            return done(*arguments, **named)

        setattr(kind, method, stepped)

    before(cluster.merge_phase.MergePhase, "_keep")
    before(cluster.workspace.Workspace, "checkpoint")
    before(cluster.workspace.Workspace, "commit")
    options = BuildOptions(
        tokenizer="bytes",
        num_banks=40,
        inner_dim=64,
        resources=Resources(shards=int(shards), address=address),
        corpus=CorpusOptions(split_bytes=1500),
    )
    summary = build([corpus], Path(out), options, on_progress=slowly)
    print(summary.digest, summary.losses, summary.splits_before, flush=True)


if __name__ == "__main__":
    main()
