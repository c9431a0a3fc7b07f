"""memo-dist build: memorize a corpus into a new memory directory."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.flags import AsJson, ConfigFile, OptionalInputs, corpus_flags, resource_flags
from console.output import ProgressLine, print_json, print_table
from memo_dist.models import model_named, model_of
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.resources import Resources
    from pipelines.plan import CorpusOptions, CorpusPlan


@resource_flags()
@corpus_flags()
def build_command(
    *,
    out: Annotated[Path, typer.Option(help="The new memory directory, M.memo.")],
    inputs: OptionalInputs = None,
    token_ids: Annotated[
        list[str] | None,
        typer.Option(help="Instead of INPUT: .parquet with lists of token ids in 'tokens' or 'input_ids'."),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(help="Size of the vocabulary of --token-ids; the highest id and one unless given.")
    ] = None,
    preset: Annotated[str, typer.Option(help="text, or paper: the published memory, for small corpora.")] = "text",
    composition: Annotated[str, typer.Option(help="Preset paper: jlt or product.")] = "jlt",
    tokenizer: Annotated[str, typer.Option(help="auto (train a BPE), bytes, or a tokenizer.json.")] = "auto",
    target_recall: Annotated[
        float, typer.Option(help="Next-token recall to plan for, of what the text allows.")
    ] = 0.99,
    dim: Annotated[
        int | None,
        typer.Option(help="Rows and columns of a bank, else 256; of the paper's matrix, else from --target-recall."),
    ] = None,
    heads: Annotated[int, typer.Option(help="Windows grow by this factor from layer to layer.")] = 4,
    layers: Annotated[int, typer.Option(help="Layers of windows.")] = 3,
    banks: Annotated[int | None, typer.Option(help="Number of banks; else from --target-recall.")] = None,
    seed: Annotated[int, typer.Option(help="Names the family of codes.")] = 0,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Memorize a corpus: print the plan, then progress, then what was memorized."""
    from cluster.build import build
    from cluster.prepare import BuildOptions
    from cluster.run_state import Progress
    from memo_dist.errors import ConfigError

    if bool(inputs) == bool(token_ids):
        raise ConfigError("give either INPUT or --token-ids, one of the two")
    options = BuildOptions(
        resources=resources,
        corpus=corpus,
        preset=preset,
        composition=composition,
        tokenizer=tokenizer,
        token_ids=bool(token_ids),
        vocab_size=vocab_size,
        target_recall=target_recall,
        inner_dim=dim,
        num_heads=heads,
        num_layers=layers,
        num_banks=banks,
        seed=seed,
    )
    with ProgressLine("memorizing") as line:

        def on_plan(units: "CorpusPlan", plan: MemoryPlan) -> None:
            print_table("Plan", _plan_rows(units, plan), error=True)

        def on_progress(progress: Progress) -> None:
            line.update(progress.units_done / progress.units, progress.tokens)

        summary = build(inputs or token_ids or [], out, options, on_plan=on_plan, on_progress=on_progress)
    if as_json:
        print_json(asdict(summary))
        return
    seconds = sum(summary.seconds.values())
    rows = {
        "memory": f"{summary.out} ({show_bytes(summary.bytes_on_disk)})",
        "documents": f"{summary.documents:,}",
        "tokens": f"{summary.tokens:,}",
        "associations": f"{summary.associations:,}{' distinct' if model_named(preset).distinct else ''}",
        "digest": summary.digest,
        "attempt": f"{summary.checkpoints} checkpoints, {summary.losses} processes or nodes lost, "
        f"{summary.units_before:,} units done before",
        "time": f"{seconds:.1f} s ({', '.join(f'{k} {v:.1f}' for k, v in summary.seconds.items())})",
        "peak memory": f"{show_bytes(summary.peak_bytes)} of {show_bytes(summary.planned_peak_bytes)} planned",
    }
    for name in ("skipped", "replaced", "empty"):
        if count := getattr(summary, name):
            rows[f"{name} documents"] = f"{count:,}"
    print_table("Memorized", rows)


def _plan_rows(corpus: "CorpusPlan", plan: MemoryPlan) -> dict[str, str]:
    config = plan.config
    model = model_of(config)
    return {
        "corpus": f"{corpus.files:,} files, {show_bytes(corpus.text_bytes)} of {corpus.content}, "
        f"{len(corpus.units):,} units",
        "tokens": f"about {plan.tokens:,} of a vocabulary of {config.vocab_size:,}",
        "memory": model.shape_told(config),
        "parameters": f"{config.num_parameters:,}, {plan.parameters_per_token:.0f} a token",
        "recall": model.recall_told(plan.recall),
        "disk": show_bytes(plan.disk_bytes)
        + (f", and meanwhile {show_bytes(plan.scratch_bytes)} for banks on disk" if plan.out_of_core else ""),
        "peak memory": (
            f"{show_bytes(plan.peak_bytes)}: {plan.shards} shards of {show_bytes(plan.shard_bytes)}, "
            f"{plan.workers} workers of {show_bytes(plan.worker_bytes)}, driver {show_bytes(plan.driver_bytes)}, "
            f"batches {show_bytes(plan.store_bytes)}; Ray's own processes take about 500 MB more"
        ),
    }
