"""memo-dist plan-build, make-runs, merge-runs, finish: a build without a cluster, as the tasks of an array."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.resources import NO_CLUSTER
from console.build import build_command
from console.flags import (
    AsJson,
    ConfigFile,
    MemoryPath,
    OptionalInputs,
    corpus_flags,
    grouped,
    resource_flags,
    windows_of,
)
from console.output import ProgressLine, print_json, print_table, warn_of_repeated_ids
from memo_dist.errors import ConfigError
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.array_build import TaskSummary
    from cluster.prepare import BuildOptions
    from cluster.resources import Resources
    from cluster.run_state import Progress
    from pipelines.plan import CorpusOptions

Task = Annotated[int, typer.Option("--task", help="Which task this is, from 0: $SLURM_ARRAY_TASK_ID.")]
Of = Annotated[int, typer.Option("--of", help="How many tasks there are: $SLURM_ARRAY_TASK_COUNT.")]
_TAKES = ("device", "memory_budget", "log_file", "metrics_port", "metrics_host")
_FIELDS = {  # flags of build that say what is built -> fields of BuildOptions
    "vocab_size": "vocab_size",
    "preset": "preset",
    "composition": "composition",
    "tokenizer": "tokenizer",
    "target_recall": "target_recall",
    "dim": "inner_dim",
    "windows": "windows",
    "keys": "keys",
    "heads": "num_heads",
    "layers": "num_layers",
    "banks": "num_banks",
    "seed": "seed",
    "keep_tokens": "keep_tokens",
}


def _build_flags() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of build that say what is built; it gets BuildOptions as its parameter `options`."""

    def made(given: dict[str, Any]) -> "BuildOptions":
        from cluster.prepare import BuildOptions

        values = {_FIELDS[name]: value for name, value in given.items()}
        return BuildOptions(**{**values, "windows": windows_of(values["windows"])})

    parameters = inspect.signature(build_command).parameters
    return grouped("options", {name: (parameters[name].annotation, parameters[name].default) for name in _FIELDS}, made)


@resource_flags("shards", "memory_budget", "log_file", address=NO_CLUSTER)
@corpus_flags()
@_build_flags()
def plan_build_command(
    *,
    out: Annotated[Path, typer.Option(help="The new memory directory, M.memo, where all tasks see it.")],
    inputs: OptionalInputs = None,
    token_ids: Annotated[
        list[str] | None,
        typer.Option(help="Instead of INPUT: .parquet with lists of token ids in 'tokens' or 'input_ids'."),
    ] = None,
    options: "BuildOptions",
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Plan a build for an array of tasks, which need no cluster but a directory that all of them see.

    Then make-runs, merge-runs and finish do it: the digest is that of build."""
    from cluster.array_build import plan_build
    from pipelines.find import is_spooled

    if bool(inputs) == bool(token_ids):
        raise ConfigError("give either INPUT or --token-ids, one of the two")
    if any(is_spooled(item) for item in inputs or []):
        raise ConfigError(
            "plan-build cannot read the standard input, as tasks read the corpus later: put it into a file"
        )
    asked = replace(options, resources=resources, corpus=corpus, token_ids=bool(token_ids))
    summary = plan_build(inputs or token_ids or [], out, asked)
    if summary.tokenizer_losses:
        told = {"warning": "; ".join(summary.tokenizer_losses)}
        print_table(f"Tokenizer {options.tokenizer}", told, error=True)
    if as_json:
        print_json(asdict(summary))
        return
    rows = {
        "memory": f"{summary.out}, about {summary.tokens:,} tokens in {summary.planned_banks:,} banks",
        "make-runs": f"{summary.splits:,} splits: as many tasks, or fewer, memo-dist make-runs {out} --task I --of N",
        "merge-runs": f"{summary.files:,} files: as many tasks, or fewer; --shards plans others",
        "disk": f"{show_bytes(summary.disk_bytes)}, and meanwhile {show_bytes(summary.run_bytes)} for sorted runs",
        "peak memory": f"{show_bytes(summary.task_peak_bytes)} a task, with as many processors as here",
    }
    if summary.planned_before:
        rows["planned"] = "before; it stays as it was"
    print_table("Plan of an array", rows)


@resource_flags(*_TAKES, address=NO_CLUSTER)
def make_runs_command(
    *,
    memory: MemoryPath,
    task: Task,
    of: Of,
    resources: "Resources",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """One task of a planned build: read and memorize its splits. What is there is not made again."""
    from cluster.array_build import make_runs
    from cluster.array_plan import Share

    with ProgressLine(f"task {task} of {of}") as line:

        def on_progress(progress: "Progress") -> None:
            line.update(progress.splits_done / max(progress.splits, 1), progress.tokens)

        summary = make_runs(Path(memory), Share(task, of), resources, on_progress=on_progress)
    _report(summary, as_json, what="runs")


@resource_flags(*_TAKES, address=NO_CLUSTER)
def merge_runs_command(
    *,
    memory: MemoryPath,
    task: Task,
    of: Of,
    resources: "Resources",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """One task of a planned build, once all runs are there: merge them into its files of the memory."""
    from cluster.array_build import merge_runs
    from cluster.array_plan import Share

    with ProgressLine(f"task {task} of {of}") as line:

        def on_progress(progress: "Progress") -> None:
            if progress.files:
                line.merging(progress.files_done, progress.files)

        summary = merge_runs(Path(memory), Share(task, of), resources, on_progress=on_progress)
    _report(summary, as_json, what="files")


@resource_flags("memory_budget", "log_file", address=NO_CLUSTER)
def finish_command(
    *, memory: MemoryPath, resources: "Resources", as_json: AsJson = False, settings: ConfigFile = None
) -> None:
    """The end of a planned build, once all files are there: make them the memory M.memo."""
    from cluster.array_build import finish

    summary = finish(Path(memory), resources)
    warn_of_repeated_ids(summary.repeated_ids)
    if as_json:
        print_json(asdict(summary))
        return
    rows = {
        "memory": f"{summary.out} ({show_bytes(summary.bytes_on_disk)})",
        "documents": f"{summary.documents:,}",
        "tokens": f"{summary.tokens:,}",
        "associations": f"{summary.associations:,} distinct, in {summary.banks:,} banks",
        "digest": summary.digest,
        "kept tokens": show_bytes(summary.kept_bytes) if summary.kept_bytes else "none",
        "time": f"{summary.seconds:.1f} s",
    }
    for name in ("skipped", "replaced", "empty"):
        if count := getattr(summary, name):
            rows[f"{name} documents"] = f"{count:,}"
    if summary.rejects:
        rows["skipped documents"] += f", named in {summary.rejects}"
    print_table("Memorized", rows)


def _report(summary: "TaskSummary", as_json: bool, *, what: str) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    if not summary.items:
        print(f"memo-dist: task {summary.task} of {summary.of} has no {what} to make: there are fewer", file=sys.stderr)
    rows = {
        "memory": summary.out,
        what: f"{summary.items:,}, {summary.before:,} of them there before",
        "tokens": f"{summary.tokens:,} in {summary.documents:,} documents",
        "time": f"{summary.seconds:.1f} s",
        "peak memory": f"{show_bytes(summary.peak_bytes)} of {show_bytes(summary.planned_peak_bytes)} planned",
    }
    print_table(f"Task {summary.task} of {summary.of}", rows)
