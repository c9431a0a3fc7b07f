"""memo-dist sync, replace, compact: a memory that follows its text."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.change import TokenIds, one_of, show_progress
from console.flags import AsJson, ConfigFile, MemoryPath, OptionalInputs, corpus_flags, resource_flags
from console.inspect import warn_of_overload
from console.output import ProgressLine, print_json, print_table, warn_of_repeated_ids
from memo_dist.planning.capacity import lengths_told
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.change_summary import ChangeSummary
    from cluster.resources import Resources
    from pipelines.plan import CorpusOptions

# no limit: what lies beyond would be forgotten
_INPUTS = (
    "text_key",
    "id_key",
    "include",
    "exclude",
    "errors",
    "format",
)  # no limit: what lies beyond would be forgotten
_FLAGS = ("shards", "address", "memory_budget", "log_file")  # banks are added on the CPU


@resource_flags()
@corpus_flags(*_INPUTS)
def sync_command(
    *,
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep documents that no input has any more.")
    ] = False,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Bring a memory to what INPUT is now: new documents are added, changed ones replaced, missing ones forgotten, in
    one change that undo takes back. What is written is as much as what has changed."""
    from cluster.change import sync
    from cluster.change_prepare import ChangeOptions

    options = ChangeOptions(resources=resources, corpus=corpus, token_ids=bool(token_ids), keep_missing=keep_missing)
    taken = one_of(inputs, token_ids)
    with ProgressLine("syncing", "splits") as line:
        summary = sync(Path(memory), taken, options, on_progress=lambda progress: show_progress(progress, line))
    warn_of_overload(summary.memory)
    _report(summary, as_json, title="Synced")


@resource_flags()
@corpus_flags("errors")
def replace_command(
    *,
    memory: MemoryPath,
    text: Annotated[str, typer.Argument(metavar="FILE", help="The document's new text.")],
    document: Annotated[str, typer.Option(help="The document's id, as memo-dist inspect --documents lists it.")],
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Give one document another text: the old one is forgotten and FILE memorized, in one change."""
    from cluster.change import replace_document
    from cluster.change_prepare import ChangeOptions

    options = ChangeOptions(resources=resources, corpus=corpus)
    with ProgressLine("replacing", "splits") as line:
        summary = replace_document(
            Path(memory),
            document,
            text,
            options=options,
            on_progress=lambda progress: show_progress(progress, line),
        )
    warn_of_overload(summary.memory)
    _report(summary, as_json, title="Replaced")


@resource_flags(*_FLAGS, device="cpu")
def compact_command(
    *, memory: MemoryPath, resources: "Resources", as_json: AsJson = False, settings: ConfigFile = None
) -> None:
    """Fold what changes have left beside a memory's files into these; what the memory holds stays the same."""
    from cluster.compact import compact

    summary = compact(Path(memory), resources)
    if as_json:
        print_json(asdict(summary))
        return
    rows = {
        "segments": f"{summary.segments:,} folded" if summary.segments else "none; nothing to fold",
        "memory": f"{summary.memory}: {show_bytes(summary.bytes)}, {show_bytes(summary.bytes_before)} before",
        "digest": f"{summary.digest}, as before",
    }
    print_table("Compacted", rows)


def _report(summary: "ChangeSummary", as_json: bool, *, title: str) -> None:
    warn_of_repeated_ids(summary.repeated_ids)
    if as_json:
        print_json(asdict(summary))
        return
    new, gone = summary.added - summary.replaced, summary.forgotten - summary.replaced
    told = f"{new:,} added, {summary.replaced:,} replaced, {gone:,} forgotten; {summary.unchanged:,} as they were"
    rows = {
        "documents": told if summary.changed else f"all {summary.unchanged:,} as they were: nothing to do",
        "memory": f"{summary.memory}: {summary.documents:,} documents, {summary.tokens:,} tokens",
        "digest": summary.digest,
        "time": f"{sum(summary.seconds.values()):.1f} s",
    }
    if summary.segments:
        rows["segments"] = f"{summary.segments:,} beside the memory's files; memo-dist compact folds them in"
    if summary.banks > summary.banks_before:
        rows["banks"] = f"{summary.banks:,}, {summary.banks_before:,} before: as many as the text needs now"
    if summary.answered:
        rows["prompts"] = lengths_told(summary.answered)
    print_table(title, rows)
