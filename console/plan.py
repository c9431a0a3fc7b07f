"""memo-dist plan: what memorizing so many tokens takes, before there is a corpus."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from console.flags import AsJson, ConfigFile, Errors, Exclude, Include
from console.output import print_json, print_table
from memo_dist.errors import ConfigError
from memo_dist.models.repetition import Repetition, TextSize, unrepeated
from memo_dist.planning.rates import Rates, read_rates
from memo_dist.planning.repetition import TYPICAL
from memo_dist.sizes import show_bytes, show_seconds

_DOCUMENT = 1000  # tokens, where nothing is known
_NEAR = 5e-4  # of a target recall


def plan_command(
    tokens: Annotated[str, typer.Option(help="How many, such as 5e9; else as many as --sample has.")] = "",
    target_recall: Annotated[float, typer.Option(help="Next-token recall, of what the text allows.")] = 0.99,
    sample: Annotated[
        list[str] | None, typer.Option(help="Text of the kind, INPUT as for build, to learn how it repeats itself.")
    ] = None,
    documents: Annotated[
        int | None, typer.Option(help=f"How many; else one of {_DOCUMENT} tokens, or as sampled.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option(help="What `memo-dist bench --json` printed; without, no times.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    cores: Annotated[int | None, typer.Option(help="Of each machine; else of the rates, else of this one.")] = None,
    gpus: Annotated[int, typer.Option(min=0, help="In all, one a shard; needs rates of bench --device gpu.")] = 0,
    vocab_size: Annotated[int | None, typer.Option(help="Token ids; else 32,000, or as sampled.")] = None,
    banks: Annotated[int | None, typer.Option(help="Number of banks; else from --target-recall.")] = None,
    dim: Annotated[int, typer.Option(help="Rows and columns of a bank.")] = 256,
    heads: Annotated[int, typer.Option(help="Windows grow by this factor from layer to layer.")] = 4,
    layers: Annotated[int, typer.Option(help="Layers of windows.")] = 3,
    include: Include = None,
    exclude: Exclude = None,
    errors: Errors = "strict",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Plan: banks, bytes, shards and, with rates, time for a text of a given size; nothing is built."""
    from memo_dist.models.text.config import TextConfig
    from memo_dist.planning.forecast import Machines, forecast

    shape: dict[str, Any] = {"inner_dim": dim, "num_heads": heads, "num_layers": layers}
    measured = None if rates is None else read_rates(rates)
    text, found = _text(sample, include, exclude, errors, shape) if sample else (_typical(heads, layers), None)
    count = found["tokens"] if found and not tokens else _count(tokens)
    per_document = found["tokens"] / found["documents"] if found else _DOCUMENT
    many = max(1, round(count / per_document)) if documents is None else documents
    if not 1 <= many <= count:
        raise ConfigError(f"--documents is {many}; expected from 1 to as many as there are tokens, {count:,}")
    size = vocab_size if vocab_size is not None else found["vocab_size"] if found else 32_000
    machines = Machines(nodes, _cores(cores, measured), gpus)
    config = TextConfig(num_banks=1 if banks is None else banks, vocab_size=size, **shape)
    told = forecast(
        config,
        target_recall,
        TextSize(count, many, text),
        machines=machines,
        rates=measured,
        fixed_banks=banks is not None,
    )
    plan = told.plan
    missed = banks is None and plan.recall < target_recall - _NEAR
    if as_json:
        print_json(
            {
                **plan.to_dict(),
                "target_recall": target_recall,
                "machines": asdict(machines),
                "node_bytes": told.node_bytes,
                "most_node_bytes": told.most_node_bytes,
                "least_node_bytes": told.least_node_bytes,
                "least_scratch_bytes": told.scratch_bytes,
                "published": [asdict(one) for one in told.published],
                "seconds": told.seconds,
                "total_seconds": told.total_seconds,
                "text": "sample" if sample else "typical",
                "repetition": text.to_dict(),
            }
        )
        return
    where = f"{nodes} machines of {machines.cores} cores" + (f", {gpus} GPUs" if gpus else "")
    print_table(
        f"Plan for {count:,} tokens",
        {
            "text": f"{plan.expected_associations / count:.2f} distinct associations a token likely, "
            f"{plan.associations / count:.0f} at most; {_kind(sample, text)}",
            "memory": f"{plan.config.num_banks:,} banks of {dim} x {dim} int16 cells, "
            f"{plan.parameters_per_token:.0f} parameters a token",
            "recall": f"{plan.recall:.4f} of what the text allows, by the capacity law"
            + (f"; more banks do not bring it to {target_recall}" if missed else ""),
            "disk": f"{show_bytes(plan.expected_disk_bytes)} likely, {show_bytes(plan.disk_bytes)} at most; as much "
            "again while it is written",
            "shards": f"{plan.shards:,} on {where}",
            "RAM a machine": f"{show_bytes(told.node_bytes)} likely, {show_bytes(told.most_node_bytes)} at most; with "
            f"banks on disk {show_bytes(told.least_node_bytes)} and in all {show_bytes(told.scratch_bytes)} of scratch",
            "time": _times(told.seconds, measured),
            **{f"published, {one.bits} bits": _published(one, plan.config.num_banks) for one in told.published[:-1]},
            "published, more banks": _published(told.published[-1], plan.config.num_banks),
        },
    )


def _count(tokens: str) -> int:
    try:
        count = round(float(tokens.replace(",", "").replace("_", "")))
    except (ValueError, OverflowError):
        count = 0
    if not 1 <= count <= 10**15:
        asked = f"--tokens is {tokens!r}" if tokens else "--tokens is missing"
        raise ConfigError(f"{asked}; expected a number from 1 to 1e15, such as 5e9, or a --sample to count")
    return count


def _cores(asked: int | None, rates: Rates | None) -> int:
    if asked is not None:
        return asked
    return rates.readers if rates else len(os.sched_getaffinity(0))


def _typical(heads: int, layers: int) -> Repetition:
    return TYPICAL if (heads, layers) == (4, 3) else unrepeated(layers)


def _text(
    sample: list[str], include: str | None, exclude: str | None, errors: str, shape: dict[str, Any]
) -> tuple[Repetition, dict[str, int]]:
    """How a sample repeats itself, and its tokens, documents and vocabulary."""
    from memo_dist.models.text.config import TextConfig
    from memo_dist.planning.repetition import measure_repetition
    from pipelines.plan import CorpusOptions, plan_corpus
    from pipelines.tokenizing import choose_tokenizer

    choice = choose_tokenizer(plan_corpus(sample, CorpusOptions(include=include, exclude=exclude, errors=errors)))
    found = {"tokens": choice.tokens, "documents": choice.documents, "vocab_size": choice.vocab_size}
    config = TextConfig(num_banks=1, vocab_size=choice.vocab_size, **shape)
    return measure_repetition(list(choice.sample), config), found


def _kind(sample: list[str] | None, text: Repetition) -> str:
    if sample:
        return f"as {text.tokens:,} tokens of the sample repeat themselves"
    if text is TYPICAL:
        return "as technical prose repeats itself; --sample says how yours does"
    return "as if it never repeated itself; --sample says how yours does"


def _times(seconds: dict[str, float] | None, rates: Rates | None) -> str:
    if seconds is None:
        return "unknown: memo-dist bench --json > bench.json, then plan --rates bench.json"
    parts = ", ".join(f"{name} {show_seconds(value)}" for name, value in seconds.items() if value)
    started = "" if rates and rates.build_overhead_s else "; without starting Ray, which was not measured"
    return f"{show_seconds(sum(seconds.values()))} ({parts}){started}"


def _published(one: Any, banks: int) -> str:
    more = f", {one.banks:,} banks of {one.bits} bit (rebank first)" if one.banks != banks else ""
    return f"{show_bytes(one.bytes)}, recall {one.recall:.4f}{more}"
