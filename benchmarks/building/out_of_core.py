"""A memory larger than its budget: measured peak against the plan, digest and time against a build with more memory.

    python benchmarks/building/out_of_core.py INPUT... --banks 30500 --memory-budget 1GB

Builds INPUT (as `memo-dist build` takes it; `--include` and `--errors` are handed on) under the budget and without it,
one after the other, and prints one JSON object. 30,500 banks are 4 GB of cells. Takes some minutes and disk for both
memories, with what waits there until they are written.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common.script import add_corpus, command, script_parser


def built(words: list[str], out: Path, budget: str | None) -> dict[str, Any]:
    """Build in a process of its own; what it says as JSON."""
    return command("build", *words, "--out", out, *(["--memory-budget", budget] if budget else []))


def main() -> None:
    parser = script_parser(__doc__)
    add_corpus(parser, errors="strict")
    parser.add_argument("--banks", default="30500")
    parser.add_argument("--memory-budget", default="1GB")
    parser.add_argument("--checkpoint-every", default="30m")
    parser.add_argument("--directory", default=None, help="where the memories go meanwhile; else the system's")
    asked = parser.parse_args()
    words = [*asked.inputs, "--banks", asked.banks, "--include", asked.include, "--errors", asked.errors]
    words += ["--checkpoint-every", asked.checkpoint_every]
    with tempfile.TemporaryDirectory(dir=asked.directory) as folder:
        ours = built(words, Path(folder) / "small.memo", asked.memory_budget)
        theirs = built(words, Path(folder) / "large.memo", None)
    builds = {"budget": ours, "memory": theirs}
    seconds = {name: round(sum(one["seconds"].values()), 1) for name, one in builds.items()}
    print(
        json.dumps(
            {
                "tokens": ours["tokens"],
                "associations": ours["associations"],
                "bytes_on_disk": ours["bytes_on_disk"],
                "budget": asked.memory_budget,
                "planned_peak_bytes": ours["planned_peak_bytes"],
                "peak_bytes": ours["peak_bytes"],
                "peak_of_plan": round(ours["peak_bytes"] / ours["planned_peak_bytes"], 3),
                "rays_own_bytes": ours["ray_bytes"],
                "in_memory_peak_bytes": theirs["peak_bytes"],
                "digests_equal": ours["digest"] == theirs["digest"],
                "seconds": seconds,
                "slowdown": round(seconds["budget"] / seconds["memory"], 2),
                "stages": {name: one["seconds"] for name, one in builds.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
