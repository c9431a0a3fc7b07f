"""A compressed file is decompressed once: bytes out of the codec, in all processes of a build, by those in the file.

    python benchmarks/building/streamed.py [--gigabytes 2] [--address none|local] [--directory DIR] [--json FILE]

Makes rows.jsonl.gz of so many bytes, whose rows have a short text and a long field that is not read (so that the codec
and the reading of rows are most of the work), and builds a memory of its texts by `memo-dist build`. What is more than
one reading is the sample.
"""

import base64
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common.codec_reads import CodecReads
from benchmarks.common.script import add_json, script_parser, write_json

_ROOT = Path(__file__).parents[2]
_FIELD = 60_000  # bytes of the field that is not read


def made(path: Path, size: int) -> tuple[int, int]:
    """Write the file; how many bytes and documents there are in it."""
    chosen = random.Random(1)
    words = ["".join(chosen.choices("abcdefghijklmnop", k=chosen.randint(2, 9))) for _ in range(5000)]
    field = base64.b64encode(chosen.randbytes(_FIELD)).decode()
    written = number = 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        while written < size:
            cut = chosen.randrange(len(field) // 2)
            text = " ".join(chosen.choices(words, k=60))
            row = {"id": f"row {number}", "text": text, "not read": field[cut:] + field[:cut]}
            written += file.write(json.dumps(row).encode() + b"\n")
            number += 1
    return written, number


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--address", default="local")
    parser.add_argument("--directory", default=None, help="where the file and the memory go meanwhile")
    add_json(parser)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.directory) as name:
        folder = Path(name)
        size, documents = made(folder / "rows.jsonl.gz", int(asked.gigabytes * 1e9))
        (folder / "hook").mkdir()
        reads = CodecReads(folder / "hook", _ROOT)
        line = [
            sys.executable,
            "-m",
            "console",
            "build",
            str(folder / "rows.jsonl.gz"),
            "--out",
            str(folder / "m.memo"),
        ]
        began = time.monotonic()
        done = subprocess.run(
            [*line, "--address", asked.address, "--json"], env=reads.environment, stdout=subprocess.PIPE, check=True
        )
        seconds = time.monotonic() - began
        summary, taken = json.loads(done.stdout), reads.taken()
        packed = (folder / "rows.jsonl.gz").stat().st_size
    if summary["documents"] != documents:
        raise SystemExit(f"{documents} documents were written, and {summary['documents']} memorized")
    found = {
        "bytes_in_the_file": size,
        "bytes_compressed": packed,
        "bytes_from_the_codec": sum(count for _, count in taken),
        "times": sum(count for _, count in taken) / size,
        "processes": len({process for process, _ in taken}),
        "documents": documents,
        "tokens": summary["tokens"],
        "seconds": seconds,
        "peak_bytes": summary["peak_bytes"],
        "planned_peak_bytes": summary["planned_peak_bytes"],
    }
    print(json.dumps(found, indent=1))
    write_json(asked.json, found)


if __name__ == "__main__":
    main()
