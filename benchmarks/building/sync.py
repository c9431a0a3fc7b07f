"""What a change of some documents writes and takes in a given memory: bytes, seconds, peak.

    python benchmarks/building/sync.py M.memo [--bytes 1000000] [--change edited|replaced] [--times 1] [--seed 0]
        [--address none] [--json FILE]

Takes documents of the memory whose ids are files, as many as have so many bytes together; gives each another text (one
word in fifty exchanged, or all of its words in another order), as rows of a file, and brings a copy of the memory to
these by `sync --keep-missing`. The copy has links to the memory's files, which never change. Bytes are those that this
process hands to the system to be written, what is only there meanwhile included.
"""

import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common.script import add_json, script_parser, write_json
from cluster.actor import peak_resident_bytes
from cluster.change import sync
from cluster.change_prepare import ChangeOptions
from cluster.resources import Resources
from memo_dist.files.generations import link_file
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory


def linked(memory: Path, copy: Path) -> None:
    """A memory of the same files."""
    for path in memory.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(memory)
            target.parent.mkdir(parents=True, exist_ok=True)
            link_file(path, target)


def changed(memory: Path, size: int, *, how: str, draws: random.Random) -> list[dict[str, str]]:
    """Documents of so many bytes together, with other texts."""
    with open_memory(memory) as stored:
        names = [name for table in stored.require_working().documents() for name in table.column("id").to_pylist()]
    draws.shuffle(names)
    rows: list[dict[str, str]] = []
    left = size
    for name in names:
        path = Path(name)
        if left <= 0:
            break
        if not path.is_file() or not 200 < path.stat().st_size <= max(left, size // 20):
            continue
        text = path.read_text(encoding="utf-8")
        rows.append({"id": name, "text": _edited(text, draws) if how == "edited" else _shuffled(text, draws)})
        left -= len(text.encode())
    if left > size // 10:
        raise SystemExit(f"{memory} has too few documents that are files to change {size:,} bytes")
    return rows


def _edited(text: str, draws: random.Random) -> str:
    words = text.split(" ")
    for place in range(draws.randrange(25), len(words), 50):
        words[place] = draws.choice(words)
    return " ".join(words) + "\n"


def _shuffled(text: str, draws: random.Random) -> str:
    words = text.split(" ")
    draws.shuffle(words)
    return " ".join(words)


def _written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--change", choices=("edited", "replaced"), default="edited")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--address", default="none")
    add_json(parser)
    asked = parser.parse_args()
    options = ChangeOptions(resources=Resources(address=asked.address), keep_missing=True)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=asked.memory.parent) as name:
        copy, draws = Path(name) / "m.memo", random.Random(asked.seed)
        linked(asked.memory, copy)
        base = Manifest.read(copy)
        for _ in range(asked.times):
            rows = changed(copy, asked.bytes, how=asked.change, draws=draws)
            path = Path(name) / "changed.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            size, written, began, worked = _size(copy), _written(), time.perf_counter(), time.process_time()
            summary = sync(copy, [str(path)], options)
            found.append(
                {
                    "documents": summary.replaced,
                    "bytes_of_text": sum(len(row["text"].encode()) for row in rows),
                    "tokens_of_the_memory": base.tokens,
                    "bytes_of_the_memory": size,
                    "bytes_written": _written() - written,
                    "bytes_more": _size(copy) - size,
                    "segments": summary.segments,
                    "seconds": round(time.perf_counter() - began, 1),
                    "processor_seconds": round(time.process_time() - worked, 1),
                    "of_these": summary.seconds,
                    "peak_bytes": peak_resident_bytes(),
                    "processors": len(os.sched_getaffinity(0)),
                }
            )
            print(json.dumps(found[-1], indent=1), flush=True)
    write_json(asked.json, {"change": asked.change, "changes": found})


if __name__ == "__main__":
    main()
