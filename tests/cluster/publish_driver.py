"""Publishing in a process of its own, for tests that kill it: python publish_driver.py ADDRESS MEMORY OUT WINDOWS.

A line is printed at every step: what is read and solved, and between a table and its record, before the files and the
manifest, before the memory has its name.
"""

import sys
import time
from pathlib import Path
from typing import Any

import cluster.publish
import cluster.workspace
import memo_dist.solved.steps
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.resources import Resources

STEP_SECONDS = 0.01  # so that a kill meets seconds, not milliseconds


def main() -> None:
    """Publish; print a line at every step; last, the digest."""
    address, memory, out, windows = sys.argv[1:]
    shown = sys.stdout  # Ray's session takes stdout for its own reports

    def slowly(progress: PublishProgress | None = None) -> None:
        print("step", file=shown, flush=True)
        time.sleep(STEP_SECONDS)

    def before(owner: Any, name: str) -> None:
        done = getattr(owner, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            slowly()
            return done(*arguments, **named)

        setattr(owner, name, stepped)

    before(memo_dist.solved.steps, "write_text")  # of records; where Ray's processes write them, as fast as ever
    before(cluster.publish, "_join_ambiguous")
    before(cluster.publish, "write_solved_memory")
    before(cluster.workspace.Workspace, "seal")
    before(cluster.workspace.Workspace, "commit")
    rungs = tuple(int(window) for window in windows.split(","))
    options = PublishOptions(resources=Resources(address=address), windows=rungs)
    print(publish_solved(Path(memory), Path(out), options, on_progress=slowly).digest, file=shown, flush=True)


if __name__ == "__main__":
    main()
