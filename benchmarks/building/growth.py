"""Growth: how time and bytes grow with the corpus, and whether a long build keeps its pace.

    python benchmarks/building/growth.py INPUT... --shares 1/64,1/16,1/4,1 --memory-budget 4GB --out docs/results

Builds so much of INPUT (`--include`, `--errors` as `memo-dist build` takes them), each under the same budget, in this
process, and publishes it, solved, in one of its own; the last build is evaluated, or what was published of it. Files
are drawn and put in order by a hash of their names, so that every build, and every part of one, is of the same kinds of
text, and what is seen is size alone. Writes growth.json, growth.csv (a row a build), pace.csv (tokens against seconds
of the longest build) and growth.png, and, after every build, growth-published.csv and .png. The pace is the tokens/s of
ten equal parts of the memorizing stage, the first split and the last merge left out, over their median. A build's time
is held against a straight line through all of them, seconds = start + tokens / rate, fitted to relative deviations.
"""

import hashlib
import json
import sys
import tempfile
import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.script import add_corpus, add_out, script_parser, write_json, write_rows
from benchmarks.common.watched import watched
from cluster.build import BuildSummary, build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from memo_dist.files.batch_file import read_batches, write_batches
from memo_dist.files.opened import open_memory
from memo_dist.measuring.evaluation import evaluate
from memo_dist.sizes import parse_bytes
from pipelines.batching import stream_batches
from pipelines.find import list_sources
from pipelines.plan import CorpusOptions, plan_corpus

PARTS = 10


def drawn(inputs: list[str], include: str, share: Fraction, folder: Path) -> Path:
    """A directory of links to a share of the files, in the order of their names' hashes."""
    for source in list_sources(inputs, include):
        digest = hashlib.blake2b(source.name.encode(), digest_size=8).hexdigest()
        if int(digest, 16) < share * 2**64:
            link = folder / digest[:2] / f"{digest}-{Path(source.url).name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(source.url).absolute())
    return folder


def straight(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """seconds = start + slope * tokens, least relative squares; and seconds of each build over the line's."""
    tokens, seconds = (np.array([row[name] for row in rows], float) for name in ("tokens", "seconds"))
    (start, slope), *_ = np.linalg.lstsq(np.stack([1 / seconds, tokens / seconds], axis=1), np.ones(len(rows)))
    return {
        "start_seconds": round(float(start), 2),
        "seconds_per_million": round(1e6 * float(slope), 3),
        "measured_over_line": [round(float(x), 3) for x in seconds / (start + slope * tokens)],
    }


def built(
    inputs: list[str], out: Path, corpus: CorpusOptions, budget: str | None, every: float
) -> tuple[BuildSummary, list[tuple[float, int]]]:
    """One build, and (seconds, tokens) after every split of it."""
    pace: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        if not pace or progress.tokens > pace[-1][1]:  # else a file was written
            pace.append((time.perf_counter(), progress.tokens))

    options = BuildOptions(
        corpus=corpus,
        resources=Resources(memory_budget=None if budget is None else parse_bytes(budget), checkpoint_every=every),
    )
    return build(inputs, out, options, on_progress=note), [(when - pace[0][0], tokens) for when, tokens in pace]


def evenness(pace: list[tuple[float, int]]) -> list[float]:
    """tokens/s of PARTS equal runs of tokens, over their median."""
    seconds, tokens = (np.array(column, float) for column in zip(*pace, strict=True))
    edges = np.interp(np.linspace(tokens[0], tokens[-1], PARTS + 1), tokens, seconds)
    rates = (tokens[-1] - tokens[0]) / PARTS / np.diff(edges)
    return [round(float(rate), 3) for rate in rates / np.median(rates)]


def row(summary: BuildSummary) -> dict[str, Any]:
    tokens = summary.tokens
    whole = sum(summary.seconds.values())
    return {
        "tokens": tokens,
        "documents": summary.documents,
        "associations_per_token": round(summary.associations / tokens, 3),
        "seconds": round(whole, 2),
        "seconds_per_million": round(1e6 * whole / tokens, 3),
        "memorize_seconds_per_million": round(1e6 * summary.seconds["memorize"] / tokens, 3),
        "bytes_per_token": round(summary.bytes_on_disk / tokens, 2),
        "peak_bytes": summary.peak_bytes,
        "planned_peak_bytes": summary.planned_peak_bytes,
        **{f"{stage}_seconds": value for stage, value in summary.seconds.items()},
    }


def published(memory: Path, out: Path, *, budget: str | None, summary: BuildSummary) -> dict[str, Any]:
    """What publishing a memory took, beside building it, and the size of what came of it."""
    words, tokens = [] if budget is None else ["--memory-budget", budget], summary.tokens
    said, seconds, peak = watched("publish", memory, "--out", out, *words)
    return {
        "tokens": tokens,
        "build_seconds": round(sum(summary.seconds.values()), 2),
        "build_peak_bytes": summary.peak_bytes,
        "publish_seconds": round(seconds, 2),
        "publish_tokens_per_s": round(tokens / seconds),
        "publish_peak_bytes": peak,
        "windows_per_token": round(said["windows"] / tokens, 4),
        "tables_bytes_per_token": round(said["tables_per_token"], 3),
        "bytes_per_token": round(said["bytes_per_token"], 3),
    }


def write_published(rows: list[dict[str, Any]], out: Path) -> None:
    """growth-published.csv and .png."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    write_rows(out / "growth-published.csv", rows)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    tokens = [one["tokens"] / 1e6 for one in rows]
    left.plot(tokens, [one["tables_bytes_per_token"] for one in rows], marker="o", label="tables, with anchors")
    left.plot(tokens, [one["bytes_per_token"] for one in rows], marker="o", label="the whole directory")
    for name in ("build", "publish"):
        right.plot(tokens, [one[f"{name}_seconds"] for one in rows], marker="o", label=name)
    left.set(xscale="log", xlabel="million tokens", ylabel="bytes a token", ylim=(0, None))
    right.set(xscale="log", yscale="log", xlabel="million tokens", ylabel="seconds")
    for axes in (left, right):
        axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "growth-published.png", dpi=110)


def recall_of(memory: Path, inputs: list[str], corpus: CorpusOptions) -> dict[str, object]:
    plan = plan_corpus(inputs, corpus)
    with open_memory(memory) as stored:
        kept = memory.with_name("batches.arrow")
        write_batches(stream_batches(plan, stored.tokenizer, stored.config.context_length), kept)
        found = evaluate(
            stored,
            partial(read_batches, kept),
            tokens=stored.manifest.tokens,
            associations=stored.manifest.associations,
            tokenizer=stored.tokenizer,
            sample=3000,
            prompts=100,
        )
    return found.to_dict()


def plot(rows: list[dict[str, Any]], pace: list[tuple[float, int]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
    tokens = [one["tokens"] / 1e6 for one in rows]
    for name, axes in (("memorize_seconds_per_million", left), ("bytes_per_token", middle)):
        axes.plot(tokens, [one[name] for one in rows], marker="o")
        axes.set(xscale="log", xlabel="million tokens", ylabel=name.replace("_", " "), ylim=(0, None))
    right.plot([s for s, _ in pace], [t / 1e6 for _, t in pace])
    right.set(xlabel="seconds of memorizing", ylabel="million tokens")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = script_parser(__doc__)
    add_corpus(parser)
    parser.add_argument("--shares", default="1/64,1/16,1/4,1")
    parser.add_argument("--memory-budget", default=None)
    parser.add_argument("--checkpoint-every", type=float, default=3600.0, help="seconds")
    parser.add_argument("--evaluate", choices=("working", "published"), default="working")
    add_out(parser)
    parser.add_argument("--directory", default=None, help="where the memories go meanwhile; else the system's")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    solved_rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=asked.directory) as folder:
        corpus = CorpusOptions(errors=asked.errors)
        for number, share in enumerate(map(Fraction, asked.shares.split(","))):
            text = drawn(asked.inputs, asked.include, share, Path(folder) / f"text-{number}")
            memory = Path(folder) / f"{number}.memo"
            solved = Path(folder) / f"{number}.published.memo"
            summary, pace = built([str(text)], memory, corpus, asked.memory_budget, asked.checkpoint_every)
            rows.append(row(summary))
            solved_rows.append(published(memory, solved, budget=asked.memory_budget, summary=summary))
            print(rows[-1], solved_rows[-1], file=sys.stderr, flush=True)
            write_published(solved_rows, asked.out)
        found = recall_of(solved if asked.evaluate == "published" else memory, [str(text)], corpus)
    write_rows(asked.out / "growth.csv", rows)
    write_rows(asked.out / "pace.csv", [{"seconds": round(s, 3), "tokens": t} for s, t in pace])
    plot(rows, pace, asked.out / "growth.png")
    result = {
        "budget": asked.memory_budget,
        "builds": rows,
        "line": straight(rows),
        "pace": evenness(pace),
        "evaluation": found,
    }
    write_json(asked.out / "growth.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
