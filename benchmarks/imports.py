"""How long it takes to load: the package, its main names, and the command line's help.

    python benchmarks/imports.py [--repeat 10] [--json FILE]

Each in a fresh process, after one that warms the disk's cache; what an empty interpreter takes is measured beside them.
Prints medians and the slowest, in seconds by the clock, as one JSON object.
"""

import json
import statistics
import subprocess
import sys
import time

from benchmarks.common.script import add_json, script_parser, write_json

STARTS = {
    "empty interpreter": ["-c", "pass"],
    "import memo_dist": ["-c", "import memo_dist"],
    "from memo_dist import Memory": ["-c", "from memo_dist import Memory"],
    "memo-dist --help": ["-m", "console", "--help"],
    "memo-dist recall --help": ["-m", "console", "recall", "--help"],
}


def seconds(words: list[str]) -> float:
    """Of one process, from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    add_json(parser)
    asked = parser.parse_args()
    found = {}
    for name, words in STARTS.items():
        seconds(words)
        taken = [seconds(words) for _ in range(asked.repeat)]
        found[name] = {"median": round(statistics.median(taken), 3), "slowest": round(max(taken), 3)}
    write_json(asked.json, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
