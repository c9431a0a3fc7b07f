"""memo-dist add, forget, undo: changing a memory that is there."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.flags import AsJson, ConfigFile, MemoryPath, OptionalInputs, corpus_flags, resource_flags
from console.output import ProgressLine, print_json, print_table
from memo_dist.errors import ConfigError
from memo_dist.files.generations import undo

if TYPE_CHECKING:
    from cluster.change import ChangeSummary
    from cluster.resources import Resources
    from cluster.run_state import Progress
    from pipelines.plan import CorpusOptions

TokenIds = Annotated[list[str] | None, typer.Option(help="Instead of INPUT, for a memory of bare token ids.")]


@resource_flags()
@corpus_flags()
def add_command(
    *,
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Memorize more documents; those whose id the memory holds already are left as they are."""
    from cluster.change import ChangeOptions, add

    options = ChangeOptions(resources=resources, corpus=corpus, token_ids=bool(token_ids))
    taken = _one_of(inputs, token_ids)
    with ProgressLine("adding", "units") as line:
        summary = add(Path(memory), taken, options, on_progress=lambda progress: _show(progress, line))
    _report(summary, as_json, title="Added", why="held already, left as they are")


@resource_flags()
@corpus_flags()
def forget_command(
    *,
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    document: Annotated[
        list[str] | None,
        typer.Option(help="Only this document, by its id; read again from INPUT, or from where it was memorized."),
    ] = None,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Take documents out exactly; passages that other documents share stay. Unknown documents change nothing."""
    from cluster.change import ChangeOptions, forget

    from_journal = document and not inputs and not token_ids
    options = ChangeOptions(
        resources=resources, corpus=corpus, token_ids=bool(token_ids), documents=tuple(document or ())
    )
    taken = [] if from_journal else _one_of(inputs, token_ids)
    with ProgressLine("forgetting", "units") as line:
        summary = forget(Path(memory), taken, options, on_progress=lambda progress: _show(progress, line))
    _report(summary, as_json, title="Forgotten", why="not held with this text, nothing to forget")


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


def _show(progress: "Progress", line: ProgressLine) -> None:
    line.update(progress.units_done / progress.units, progress.units_done)


def _report(summary: "ChangeSummary", as_json: bool, *, title: str, why: str) -> None:
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
