"""memo-dist add, forget, undo: changing a memory that is there."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.flags import (
    Address,
    AsJson,
    Budget,
    ConfigFile,
    Device,
    Errors,
    Exclude,
    IdKey,
    Include,
    Limit,
    MemoryPath,
    OptionalInputs,
    Scratch,
    Shards,
    TextKey,
    budget_of,
)
from console.output import ProgressLine, print_json, print_table
from memo_dist.errors import ConfigError
from memo_dist.files.generations import undo
from memo_dist.sizes import parse_seconds

if TYPE_CHECKING:
    from cluster.change import ChangeOptions, ChangeSummary
    from cluster.run import Progress

    Change = Callable[[Path, list[str], ChangeOptions, Callable[[Progress], None]], ChangeSummary]

TokenIds = Annotated[list[str] | None, typer.Option(help="Instead of INPUT, for a memory of bare token ids.")]
Every = Annotated[str, typer.Option(help="Work that may be lost, such as 60s or 10m.")]


def add_command(
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    shards: Shards = None,
    device: Device = "auto",
    address: Address = None,
    memory_budget: Budget = None,
    scratch: Scratch = None,
    checkpoint_every: Every = "60s",
    text_key: TextKey = "text",
    id_key: IdKey = "id",
    include: Include = None,
    exclude: Exclude = None,
    errors: Errors = "strict",
    limit: Limit = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Memorize more documents; those whose id the memory holds already are left as they are."""
    from cluster.change import ChangeOptions, add
    from pipelines.plan import CorpusOptions

    options = ChangeOptions(
        CorpusOptions(include=include, exclude=exclude, errors=errors, text_key=text_key, id_key=id_key, limit=limit),
        bool(token_ids),
        (),
        shards,
        device,
        address,
        budget_of(memory_budget),
        scratch,
        parse_seconds(checkpoint_every),
    )
    summary = _run(add, "adding", memory, _one_of(inputs, token_ids), options)
    _report(summary, as_json, "Added", "held already, left as they are")


def forget_command(
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    document: Annotated[
        list[str] | None,
        typer.Option(help="Only this document, by its id; read again from INPUT, or from where it was memorized."),
    ] = None,
    shards: Shards = None,
    device: Device = "auto",
    address: Address = None,
    memory_budget: Budget = None,
    scratch: Scratch = None,
    checkpoint_every: Every = "60s",
    text_key: TextKey = "text",
    id_key: IdKey = "id",
    include: Include = None,
    exclude: Exclude = None,
    errors: Errors = "strict",
    limit: Limit = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Take documents out exactly; passages that other documents share stay. Unknown documents change nothing."""
    from cluster.change import ChangeOptions, forget
    from pipelines.plan import CorpusOptions

    from_journal = document and not inputs and not token_ids
    options = ChangeOptions(
        CorpusOptions(include=include, exclude=exclude, errors=errors, text_key=text_key, id_key=id_key, limit=limit),
        bool(token_ids),
        tuple(document or ()),
        shards,
        device,
        address,
        budget_of(memory_budget),
        scratch,
        parse_seconds(checkpoint_every),
    )
    summary = _run(forget, "forgetting", memory, [] if from_journal else _one_of(inputs, token_ids), options)
    _report(summary, as_json, "Forgotten", "not held with this text, nothing to forget")


def undo_command(memory: MemoryPath, as_json: AsJson = False, settings: ConfigFile = None) -> None:
    """Take back the last change; the generation before it is kept until the next."""
    manifest = undo(Path(memory))
    if as_json:
        print_json({"digest": manifest.digest, "tokens": manifest.tokens, "documents": manifest.documents})
    else:
        print(f"{memory} is again what it was before: {manifest.documents:,} documents, digest {manifest.digest}")


def _one_of(inputs: list[str] | None, token_ids: list[str] | None) -> list[str]:
    if bool(inputs) == bool(token_ids):
        raise ConfigError("give either INPUT or --token-ids, one of the two")
    return inputs or token_ids or []


def _run(change: "Change", what: str, memory: str, inputs: list[str], options: "ChangeOptions") -> "ChangeSummary":
    with ProgressLine(what, "units") as line:

        def on_progress(progress: "Progress") -> None:
            line.update(progress.units_done / progress.units, progress.units_done)

        return change(Path(memory), inputs, options, on_progress)


def _report(summary: "ChangeSummary", as_json: bool, title: str, why: str) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    rows = {
        "documents": f"{summary.changed:,}" + (f"; {summary.unchanged:,} {why}" if summary.unchanged else ""),
        "memory": f"{summary.memory}: {summary.documents:,} documents, {summary.tokens:,} tokens",
        "digest": summary.digest,
        "time": f"{sum(summary.seconds.values()):.1f} s",
    }
    print_table(title, rows)
