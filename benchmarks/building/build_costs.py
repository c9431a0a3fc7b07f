"""What a build costs by its number of shard files: processor seconds, and bytes written for each byte of the memory.

    python benchmarks/building/build_costs.py INPUT... [--shards 2,8,32,64] [--times 2] [--stops 4] [--json FILE]

Builds INPUT (as `memo-dist build` takes it; `--include` and `--errors` are handed on) in one process without Ray, once
for each number of shards in turn, and all of it `--times` times. Processor seconds are user and system time of the
process. Bytes are those that Linux counts when it ends: `gross` of all that was handed to the disk, `net` without what
was removed before the disk had it; both divided by the size of the memory. With `--stops` a build is told so many times
to stop, when it says that the next part of the splits or files is done, and goes on by the same command: figures are of
all its processes together. `--directory` has to be on a disk; in memory nothing is counted.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common.script import add_corpus, add_json, script_parser, write_json

_STOPPED = 75  # exit code of what is to be continued


def progress(told: bytes) -> float:
    """How far a build says that it is; of its two halves, splits and files, both together are 1."""
    merged = re.findall(rb"merging: (\d+) of (\d+)", told)
    if merged:
        return 0.5 + int(merged[-1][0]) / int(merged[-1][1]) / 2
    return int((re.findall(rb"memorizing: (\d+)%", told) or [0])[-1]) / 200


def ended(line: list[str], until: float) -> tuple[int, dict[str, float]]:
    """Run a command, told to stop once it is so far: its exit code and costs."""
    began, asked = time.monotonic(), False
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=told)
        while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if not asked and progress(os.pread(told.fileno(), 1 << 20, 0)) >= until:
                process.send_signal(signal.SIGTERM)
                asked = True
            time.sleep(0.1)
    lines = Path(f"/proc/{process.pid}/io").read_text().splitlines()  # it has ended, and was not yet waited for
    said = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, {
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "seconds": time.monotonic() - began,
        "gross": said["write_bytes"],
        "net": said["write_bytes"] - said["cancelled_write_bytes"],
    }


def built(words: list[str], out: Path, *, shards: int, stops: int) -> dict[str, Any]:
    """One memory's costs."""
    line = [sys.executable, "-m", "console", "build", *words, "--out", str(out), "--shards", str(shards)]
    costs: dict[str, float] = {}
    code, stopped = _STOPPED, -1
    while code == _STOPPED:
        stopped += 1
        code, more = ended([*line, "--address", "none"], (stopped + 1) / (stops + 1) if stopped < stops else 2)
        costs = {name: costs.get(name, 0) + value for name, value in more.items()}
    if code:
        raise SystemExit(f"{' '.join(line)} ended with {code}")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    rates = {f"{name}_bytes_a_byte": costs[name] / size for name in ("gross", "net")}
    return {"shards": shards, "stops": stopped, "bytes_on_disk": size, **costs, **rates}


def main() -> None:
    parser = script_parser(__doc__)
    add_corpus(parser, errors="strict")
    parser.add_argument("--shards", default="2,8,32,64")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--stops", type=int, default=0)
    parser.add_argument("--directory", default=None, help="where the memories go meanwhile; else the system's")
    add_json(parser)
    asked = parser.parse_args()
    words = [*asked.inputs, "--include", asked.include, "--errors", asked.errors]
    found: list[dict[str, Any]] = []
    for turn in range(asked.times):
        for shards in map(int, asked.shards.split(",")):
            with tempfile.TemporaryDirectory(dir=asked.directory) as folder:
                one = built(words, Path(folder) / "m.memo", shards=shards, stops=asked.stops)
            found.append({"turn": turn, **one})
            print(found[-1], file=sys.stderr, flush=True)
    table = Table(title="costs of a build")
    for name in ("shards", "stops", "processor seconds", "gross", "net"):
        table.add_column(name, justify="right")
    for one in found:
        rates = (f"{one[f'{name}_bytes_a_byte']:.2f}" for name in ("gross", "net"))
        table.add_row(str(one["shards"]), str(one["stops"]), f"{one['processor_seconds']:.1f}", *rates)
    Console().print(table)
    write_json(asked.json, found)


if __name__ == "__main__":
    main()
