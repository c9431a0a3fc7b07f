"""Script: what the benchmarks have in common: flags, commands in processes of their own, result files.

Covers: --help with the script's docstring, the corpus and result flags, CSV and JSON. Does not cover: what is measured.
Needs the standard library alone, as gpu.py must run on a bare machine.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def script_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose --help shows the script's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_corpus(parser: argparse.ArgumentParser, errors: str | None = "skip") -> None:
    """INPUT..., --include and, unless the script fixes them, --errors, as `memo-dist build` takes them."""
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--include", default="**/*")
    if errors is not None:
        parser.add_argument("--errors", default=errors)


def add_memory_and_corpus(parser: argparse.ArgumentParser, errors: str | None = "skip") -> None:
    """M.memo INPUT...: a memory and the corpus that it holds."""
    parser.add_argument("memory", type=Path)
    add_corpus(parser, errors)


def add_named_memories(parser: argparse.ArgumentParser) -> None:
    """INPUT... --unseen OTHER... --memory NAME=PATH...: memories of one corpus, and text that they do not hold."""
    add_corpus(parser, errors=None)
    parser.add_argument("--unseen", nargs="+", required=True)
    parser.add_argument("--memory", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--name", default="text", help="of the text, in the names of the result files")


def add_out(parser: argparse.ArgumentParser) -> None:
    """--out, the directory of the result files."""
    parser.add_argument("--out", type=Path, default=Path(), help="directory of the result files")


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json, a file for what is printed."""
    parser.add_argument("--json", type=Path, help="also written here")


def command(*words: object) -> dict[str, Any]:
    """A command of memo-dist in a process of its own; what it says as JSON."""
    line = [sys.executable, "-m", "console", *map(str, words), "--json"]
    said: dict[str, Any] = json.loads(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return said


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows with the same names as a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path | None, value: Any) -> None:
    """A JSON file, if a path was given."""
    if path is not None:
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
