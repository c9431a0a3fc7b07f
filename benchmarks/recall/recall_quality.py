"""Recall, verbatim continuation and abstention on real text, at several memory sizes.

    python benchmarks/recall/recall_quality.py --out DIR --corpus code=PATH --unseen code=PATH [--corpus prose=PATH ...]

For each corpus and each number of parameters a token: `memo-dist build`, then `memo-dist evaluate` on 5,000 positions
and 200 prompts of each length, each a process of its own. Writes recall-quality.json and prints a table.
"""

import argparse
import subprocess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common.script import command, script_parser, write_json
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import choose_tokenizer

CELLS = 256**2


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--unseen", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--exclude", help="glob of files to leave out of the memorized corpora")
    parser.add_argument("--limit", type=int, help="documents of each corpus")
    parser.add_argument("--parameters-per-token", type=float, nargs="+", default=[111, 60])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    unseen = dict(item.split("=", 1) for item in arguments.unseen)
    options = CorpusOptions(exclude=arguments.exclude, errors="skip", limit=arguments.limit)
    results = []
    for name, path in (item.split("=", 1) for item in arguments.corpus):
        tokens = choose_tokenizer(plan_corpus([path], options)).tokens
        for wanted in arguments.parameters_per_token:
            banks = int(wanted * tokens / CELLS)
            results.append(measure(name, path, unseen.get(name), banks, arguments))
            write_json(arguments.out / "recall-quality.json", results)
    show(results)


def measure(name: str, path: str, unseen: str | None, banks: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Build and evaluate one memory; the memory is removed again."""
    memory = arguments.out / f"{name}-{banks}.memo"
    corpus = ["--errors", "skip"]
    corpus += ["--exclude", arguments.exclude] if arguments.exclude else []
    corpus += ["--limit", str(arguments.limit)] if arguments.limit else []
    built = command("build", path, "--out", str(memory), "--banks", str(banks), *corpus)
    evaluated = command("evaluate", str(memory), path, *corpus, *(["--unseen", unseen] if unseen else []))
    subprocess.run(["rm", "-r", str(memory)], check=True)
    return {"corpus": name, "banks": banks, "build": built, "evaluation": evaluated}


def show(results: list[dict[str, Any]]) -> None:
    table = Table(title="Recall on real text")
    columns = ("corpus", "tokens", "parameters/token", "recall", "ceiling", "64-token prompts", "32-token prompts")
    for column in (*columns, "AUC", "abstains"):
        table.add_column(column, justify="left" if column == "corpus" else "right")
    for result in results:
        e = result["evaluation"]
        row = [result["corpus"], f"{result['build']['tokens']:,}", f"{e['parameters_per_token']:.1f}"]
        row += [f"{e['recall']:.4f}", f"{e['ceiling']:.4f}", f"{e['verbatim']['64']:.3f}", f"{e['verbatim']['32']:.3f}"]
        row += ["-" if e[key] is None else f"{e[key]:.4f}" for key in ("confidence_auc", "unseen_abstained")]
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
