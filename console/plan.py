"""memo-dist plan: what memorizing a number of tokens takes, before there is a corpus."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.flags import AsJson, ConfigFile, Keys, Windows, corpus_flags, windows_of
from console.inspect import prompts_told
from console.output import print_json, print_table
from memo_dist.errors import ConfigError
from memo_dist.models.repetition import Repetition, TextSize, unrepeated
from memo_dist.models.text.config import DEFAULT_WINDOWS
from memo_dist.planning.capacity import answered_lengths, predicted_recall
from memo_dist.planning.rates import Rates, read_rates
from memo_dist.planning.typical import TYPICAL
from memo_dist.sizes import show_bytes, show_seconds

if TYPE_CHECKING:
    from memo_dist.planning.forecast import Forecast, Published
    from pipelines.plan import CorpusOptions
    from pipelines.tokenizing import TokenizerChoice

_DOCUMENT = 1000  # tokens of a document, where nothing is known
_VOCABULARY = 32_000  # token ids, where nothing is known


@corpus_flags("include", "exclude", "errors")
def plan_command(
    *,
    tokens: Annotated[
        str, typer.Option(help="How many tokens, such as 5e9; as many as --sample has unless given.")
    ] = "",
    target_recall: Annotated[
        float, typer.Option(help="Next-token recall of the matrices with whole contexts, of what the text allows.")
    ] = 0.996,
    sample: Annotated[
        list[str] | None, typer.Option(help="Text of the kind, INPUT as for build, to learn how it repeats itself.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="Of --sample: auto, bytes, or a tokenizer.json.")] = "auto",
    documents: Annotated[
        int | None,
        typer.Option(help=f"How many documents; unless given, of {_DOCUMENT} tokens each, or as in --sample."),
    ] = None,
    rates: Annotated[
        Path | None, typer.Option(help="What `memo-dist bench --json` printed; without, no times.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="How many machines.")] = 1,
    cores: Annotated[
        int | None,
        typer.Option(help="Cores of each machine; those of the rates unless given, or else of this machine."),
    ] = None,
    gpus: Annotated[
        int,
        typer.Option(min=0, help="How many GPUs in all, one for each shard; needs the rates of bench --device gpu."),
    ] = 0,
    vocab_size: Annotated[
        int | None, typer.Option(help="How many token ids there are; 32,000 unless given, or as in --sample.")
    ] = None,
    banks: Annotated[
        int | None, typer.Option(help="How many banks; follows from --target-recall unless given.")
    ] = None,
    dim: Annotated[int, typer.Option(help="Rows and columns of a bank.")] = 256,
    windows: Windows = None,
    keys: Keys = None,
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Plan: banks, bytes, shards and, with rates, time for a text of a given size; nothing is built."""
    from memo_dist.models.text.config import TextConfig
    from memo_dist.planning.forecast import Machines, forecast

    rungs = windows_of(windows) or DEFAULT_WINDOWS
    shape: dict[str, Any] = {"inner_dim": dim, "windows": rungs, "keys": keys or "text"}
    measured = None if rates is None else read_rates(rates)
    if tokenizer != "auto" and not sample:
        raise ConfigError(f"--tokenizer is {tokenizer!r}, and there is no text for it; give some with --sample")
    choice = _sampled(sample, corpus, tokenizer) if sample else None
    text = _typical(rungs) if choice is None else _repetition(choice, shape)
    count = choice.tokens if choice and not tokens else _count(tokens)
    per_document = choice.tokens / choice.documents if choice else _DOCUMENT
    document_count = max(1, round(count / per_document)) if documents is None else documents
    if not 1 <= document_count <= count:
        raise ConfigError(f"--documents is {document_count}; expected from 1 to as many as there are tokens, {count:,}")
    if vocab_size is None:
        vocab_size = choice.vocab_size if choice else _VOCABULARY
    machines = Machines(nodes, _cores(cores, measured), gpus)
    told = forecast(
        TextConfig(num_banks=1 if banks is None else banks, vocab_size=vocab_size, **shape),
        target_recall,
        TextSize(count, document_count, text),
        machines=machines,
        rates=measured,
        fixed_banks=banks is not None,
    )
    plan = told.plan
    answered = answered_lengths(plan.config, TextSize(count, document_count, text), plan.expected_associations)
    if as_json:
        print_json(
            {
                **plan.to_dict(),
                "target_recall": target_recall,
                "answered": [asdict(one) for one in answered],
                "machines": asdict(machines),
                "node_bytes": told.node_bytes,
                "most_node_bytes": told.most_node_bytes,
                "least_node_bytes": told.least_node_bytes,
                "published": [asdict(form) for form in told.published],
                "seconds": told.seconds,
                "total_seconds": told.total_seconds,
                "text": "sample" if sample else "typical",
                "repetition": text.to_dict(),
                "tokenizer_losses": list(choice.losses) if choice else [],
            }
        )
        return
    where = f"{nodes} machines of {machines.cores} cores" + (f", {gpus} GPUs" if gpus else "")
    ceiling = predicted_recall(plan.config, TextSize(count, document_count, text), 0.0)  # of any number of banks
    missed = banks is None and ceiling < target_recall
    print_table(
        f"Plan for {count:,} tokens",
        {
            "text": f"{plan.expected_associations / count:.2f} distinct associations a token likely, "
            f"{plan.associations / count:.0f} at most; {_kind(sample, text)}",
            "memory": f"{plan.config.num_banks:,} banks of {dim} x {dim} int16 cells, "
            f"{plan.parameters_per_token:.0f} parameters a token",
            "recall": f"{plan.recall:.4f} of what the text allows, from matrices with whole contexts"
            + (f"; more banks do not bring it to {target_recall}" if missed else ""),
            "prompts": prompts_told(plan.config, answered),
            "disk": f"{show_bytes(plan.expected_disk_bytes)} likely, {show_bytes(plan.disk_bytes)} at most; "
            f"{show_bytes(plan.run_bytes)} more until it is written",
            "shards": f"{plan.shards:,} on {where}",
            "RAM a machine": f"{show_bytes(told.node_bytes)} likely, {show_bytes(told.most_node_bytes)} at most; "
            f"one worker at a time takes {show_bytes(told.least_node_bytes)}",
            "time": _times(told.seconds, measured),
            **({"not in the tokens": "; ".join(choice.losses)} if choice and choice.losses else {}),
            **_published_rows(told),
        },
    )


def _count(tokens: str) -> int:
    try:
        count = round(float(tokens.replace(",", "").replace("_", "")))
    except (ValueError, OverflowError):
        count = 0
    if not 1 <= count <= 10**15:
        got = f"--tokens is {tokens!r}" if tokens else "--tokens is missing"
        raise ConfigError(f"{got}; expected a number from 1 to 1e15, such as 5e9, or a --sample to count")
    return count


def _cores(given: int | None, rates: Rates | None) -> int:
    if given is not None:
        return given
    return rates.readers if rates else len(os.sched_getaffinity(0))


def _typical(windows: tuple[int, ...]) -> Repetition:
    return TYPICAL if windows == DEFAULT_WINDOWS else unrepeated(len(windows))


def _sampled(sample: list[str], options: "CorpusOptions", tokenizer: str) -> "TokenizerChoice":
    """Tokens, documents and vocabulary of a sample."""
    from pipelines.plan import plan_corpus
    from pipelines.tokenizing import choose_tokenizer

    return choose_tokenizer(plan_corpus(sample, options, streams=True), tokenizer)


def _repetition(choice: "TokenizerChoice", shape: dict[str, Any]) -> Repetition:
    """How a sample repeats itself."""
    from memo_dist.models import encoder_for
    from memo_dist.models.text.config import TextConfig
    from memo_dist.planning.repetition import measure_repetition

    config = TextConfig(num_banks=1, vocab_size=choice.vocab_size, **shape)
    return measure_repetition(list(choice.sample), encoder_for(config, choice.tokenizer))


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


def _published_rows(told: "Forecast") -> dict[str, str]:
    """One row for each published form of the memory; the last form has banks of its own."""
    banks = told.plan.config.num_banks
    *forms, wider = told.published
    rows = {f"published, {form.bits} bits": _published(form, banks) for form in forms}
    return {**rows, "published, more banks": _published(wider, banks)}


def _published(form: "Published", banks: int) -> str:
    more = f", {form.banks:,} banks of {form.bits} bit (rebank first)" if form.banks != banks else ""
    return f"{show_bytes(form.bytes)}, recall {form.recall:.4f}{more}"
