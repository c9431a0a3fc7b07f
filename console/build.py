"""memo-dist build: memorize a corpus into a new memory directory."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.answer import memorize_reflections
from console.flags import (
    AsJson,
    ConfigFile,
    Keys,
    OptionalInputs,
    Windows,
    WorkDirectory,
    corpus_flags,
    resource_flags,
    windows_of,
)
from console.inspect import prompts_told
from console.output import ProgressLine, print_json, print_table, warn_of_repeated_ids
from console.publish import facts_published, print_published, published_facts
from memo_dist.models import model_named, model_of
from memo_dist.planning.capacity import lengths_told
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.remote.address import is_address
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.build import BuildSummary
    from cluster.prepare import BuildOptions
    from cluster.publish import PublishProgress
    from cluster.resources import Resources
    from pipelines.plan import CorpusOptions, CorpusPlan

_SOLVED_BYTES = 3  # a token, about, with the anchors
_TAKEN_IN = "; --format text reads them as text, too"


@resource_flags()
@corpus_flags()
def build_command(
    *,
    out: Annotated[str, typer.Option(help="The new memory: a directory, M.memo, or s3://bucket/M.memo.")],
    inputs: OptionalInputs = None,
    token_ids: Annotated[
        list[str] | None,
        typer.Option(help="Instead of INPUT: .parquet with lists of token ids in 'tokens' or 'input_ids'."),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(help="Size of the vocabulary of --token-ids; the highest id and one unless given.")
    ] = None,
    preset: Annotated[str, typer.Option(help="text, or paper: the published memory, for small corpora.")] = "text",
    composition: Annotated[str | None, typer.Option(help="Preset paper: jlt, unless given, or product.")] = None,
    tokenizer: Annotated[str, typer.Option(help="auto (train a BPE), bytes, or a tokenizer.json.")] = "auto",
    target_recall: Annotated[
        float,
        typer.Option(
            help="Next-token recall to plan for: of the matrices with whole contexts, of what the text allows."
        ),
    ] = 0.996,
    dim: Annotated[
        int | None,
        typer.Option(help="Rows and columns of a bank, else 256; of the paper's matrix, else from --target-recall."),
    ] = None,
    windows: Windows = None,
    keys: Keys = None,
    heads: Annotated[
        int | None, typer.Option(help="Preset paper: windows grow by this factor from layer to layer, 4 unless given.")
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Preset paper: layers of windows, 3 unless given.")] = None,
    banks: Annotated[int | None, typer.Option(help="Number of banks; else from --target-recall.")] = None,
    seed: Annotated[int, typer.Option(help="Names the family of codes.")] = 0,
    keep_tokens: Annotated[
        bool,
        typer.Option(
            help="Keep the token batches in the memory, about 2 bytes a token: documents are then forgotten without "
            "their source. What is added later is kept likewise."
        ),
    ] = True,
    reflections: Annotated[
        str | None,
        typer.Option(
            help="Instead of INPUT: a .jsonl of questions and answers, each row with id, question, answer, and perhaps "
            "forms, entities, docs; memo-dist answer asks them."
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(help="Then publish the memory here, solved, as publish does unless it is told otherwise."),
    ] = None,
    work: WorkDirectory = None,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Memorize a corpus: print the plan, then progress, then what was memorized.

    With --publish a small memory for recall only is made of it, too; a stopped command goes on in either half."""
    from cluster.build import build
    from cluster.prepare import BuildOptions
    from cluster.published_build import build_published
    from cluster.run_state import Progress
    from memo_dist.errors import ConfigError

    if reflections is not None:
        if inputs or token_ids or publish or is_address(out):
            raise ConfigError("--reflections is read alone, into a directory: leave out INPUT, --token-ids, --publish")
        shape = {"num_banks": banks, "inner_dim": dim, "seed": seed}
        memorize_reflections(reflections, Path(out), shape, resources=resources, as_json=as_json)
        return
    if bool(inputs) == bool(token_ids):
        raise ConfigError("give either INPUT, --token-ids or --reflections, one of them")
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
        windows=windows_of(windows),
        keys=keys,
        num_heads=heads,
        num_layers=layers,
        num_banks=banks,
        seed=seed,
        keep_tokens=keep_tokens,
    )
    with ProgressLine("memorizing") as line:

        def on_losses(losses: tuple[str, ...]) -> None:
            print_table(f"Tokenizer {tokenizer}", {"warning": "; ".join(losses)}, error=True)

        def on_plan(splits: "CorpusPlan", plan: MemoryPlan) -> None:
            rows = _plan_rows(splits, plan)
            if publish is not None:
                rows["publish"] = f"then {publish}, solved, about {show_bytes(_SOLVED_BYTES * plan.tokens)}"
            print_table("Plan", rows, error=True)

        def on_progress(progress: Progress) -> None:
            if progress.files:
                line.merging(progress.files_done, progress.files)
            else:
                line.update(progress.splits_done / progress.splits, progress.tokens)

        def on_publishing(progress: "PublishProgress") -> None:
            line.turn_to("publishing", "steps")
            line.update(progress.share, progress.steps)

        given = inputs or token_ids or []
        published: dict[str, Any] | None = None
        summary: BuildSummary | None
        if is_address(out) or is_address(publish or ""):
            from cluster.stored_build import build_to_store

            stored = build_to_store(
                given,
                out,
                publish,
                options=options,
                work=work,
                on_losses=on_losses,
                on_plan=on_plan,
                on_progress=on_progress,
                on_publishing=on_publishing,
                on_upload=line.uploading,
            )
            summary = stored.summary
            if publish is not None and stored.published is not None:
                published = facts_published(publish, stored.published, size=stored.published_bytes)
        elif publish is None:
            summary = build(given, Path(out), options, on_losses=on_losses, on_plan=on_plan, on_progress=on_progress)
        else:
            made = build_published(
                given,
                Path(out),
                Path(publish),
                options=options,
                on_losses=on_losses,
                on_plan=on_plan,
                on_progress=on_progress,
                on_publishing=on_publishing,
            )
            summary, published = made.summary, published_facts(Path(publish), made.published)
    if summary is not None:
        warn_of_repeated_ids(summary.repeated_ids)
    built = {"out": out, "built_before": True} if summary is None else asdict(summary)
    if as_json:
        print_json(built if published is None else {**built, "published": published})
        return
    if summary is None:
        print_table("Memorized", {"memory": f"{out}, by an earlier attempt"})
    else:
        print_table("Memorized", _summary_rows(summary, options))
    if published is not None:
        print_published(published)


def _summary_rows(summary: "BuildSummary", options: "BuildOptions") -> dict[str, str]:
    seconds = sum(summary.seconds.values())
    rows = {
        "memory": f"{summary.out} ({show_bytes(summary.bytes_on_disk)})",
        "documents": f"{summary.documents:,}"
        + (f"; {summary.repeated_ids:,} ids repeat" if summary.repeated_ids else ""),
        "tokens": f"{summary.tokens:,}",
        "associations": _associations(summary, distinct=model_named(options.preset).distinct),
        "digest": summary.digest,
        "kept tokens": f"{show_bytes(summary.kept_bytes)}" if options.keep_tokens else "none",
        "attempt": f"{summary.checkpoints:,} runs and files made, {summary.losses} processes or nodes lost, "
        f"{summary.splits_before:,} splits done before",
        "time": f"{seconds:.1f} s ({', '.join(f'{k} {v:.1f}' for k, v in summary.seconds.items())})",
        "peak memory": f"{show_bytes(summary.peak_bytes)} of {show_bytes(summary.planned_peak_bytes)} planned",
    }
    if summary.tokenizer_losses:
        rows["not in the tokens"] = "; ".join(summary.tokenizer_losses)
    if summary.answered:
        rows["prompts"] = lengths_told(summary.answered)
    if summary.passed_over:
        rows["left out"] = f"{sum(summary.passed_over.values()):,} files with endings that are not read{_TAKEN_IN}"
    for name in ("skipped", "replaced", "empty"):
        if count := getattr(summary, name):
            rows[f"{name} documents"] = f"{count:,}"
    if summary.rejects:
        rows["skipped documents"] += f", named in {summary.rejects}"
    return rows


def _associations(summary: "BuildSummary", distinct: bool) -> str:
    """Their number, and how far the plan was off."""
    if not distinct:
        return f"{summary.associations:,}"
    planned = summary.planned_associations
    times = summary.associations / planned
    off = f"{times - 1:+.1%} beside" if 0.5 < times < 2 else f"{times:,.1f} times"
    banks = "1 bank" if summary.banks == 1 else f"{summary.banks:,} banks"
    return f"{summary.associations:,} distinct, {off} the {planned:,} of the plan, in {banks}"


def _plan_rows(corpus: "CorpusPlan", plan: MemoryPlan) -> dict[str, str]:
    config = plan.config
    model = model_of(config)
    return {
        "corpus": f"{corpus.files:,} files, {show_bytes(corpus.text_bytes)} of {corpus.content}, "
        f"{len(corpus.splits):,} splits",
        **({"left out": corpus.passed_over.told() + _TAKEN_IN} if corpus.passed_over else {}),
        "tokens": f"about {plan.tokens:,} of a vocabulary of {config.vocab_size:,}",
        "memory": model.shape_told(config),
        "parameters": f"{config.num_parameters:,}, {plan.parameters_per_token:.0f} a token",
        "recall": model.recall_told(plan.recall),
        **({"prompts": prompts_told(config, [])} if model.tells_length else {}),
        "disk": show_bytes(plan.disk_bytes)
        + (f", and meanwhile {show_bytes(plan.run_bytes)} for sorted runs" if plan.run_bytes else ""),
        "peak memory": (
            f"{show_bytes(plan.peak_bytes)}: {plan.workers} workers of {show_bytes(plan.worker_bytes)}, then "
            f"{plan.mergers} shards at a time of {show_bytes(plan.shard_bytes)}; "
            f"driver {show_bytes(plan.driver_bytes)}, batches {show_bytes(plan.store_bytes)}; "
            + ("all in one process" if plan.in_process else "Ray's own processes take about 500 MB more")
        ),
    }
