"""memo-dist add, forget, undo: changing a memory that is there."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.flags import AsJson, ConfigFile, MemoryPath, OptionalInputs, corpus_flags, resource_flags
from console.inspect import warn_of_overload
from console.output import ProgressLine, print_json, print_table, printable, warn_of_repeated_ids
from memo_dist.errors import ConfigError
from memo_dist.files.generations import undo
from memo_dist.files.manifest import Manifest
from memo_dist.files.purging import Certificate, Purge
from memo_dist.planning.capacity import lengths_told

if TYPE_CHECKING:
    from cluster.change_summary import ChangeSummary
    from cluster.resources import Resources
    from cluster.run_state import Progress
    from pipelines.plan import CorpusOptions

NOT_THERE = 3  # exit code: something that was to be forgotten was not there
MISSING = ("error", "ok")
_OTHER = "another text; they were left as they are"
_ADD_OTHER = (
    "another text; nothing of them was added. Forget the ids first if the texts have changed; if other documents have "
    "them, --id-key names a field that tells all rows apart, or one that no row has, which makes a row's place its id"
)
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
    from cluster.change import add
    from cluster.change_prepare import ChangeOptions

    options = ChangeOptions(resources=resources, corpus=corpus, token_ids=bool(token_ids))
    taken = one_of(inputs, token_ids)
    with ProgressLine("adding", "splits") as line:
        summary = add(Path(memory), taken, options, on_progress=lambda progress: show_progress(progress, line))
    warn_of_overload(summary.memory)
    _report(summary, as_json, title="Added", why="held already, left as they are", other=_ADD_OTHER)


@resource_flags()
@corpus_flags()
def forget_command(
    *,
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: TokenIds = None,
    document: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this document, by its id, out of the tokens that the memory keeps; INPUT says with which text. "
            "A memory that keeps no tokens reads it again from INPUT, or from where it was memorized."
        ),
    ] = None,
    missing: Annotated[
        str,
        typer.Option(help=f"What is not held: error (exit code {NOT_THERE}; the others are forgotten), or ok."),
    ] = MISSING[0],
    purge: Annotated[
        bool,
        typer.Option(
            "--purge",
            help="Make it final: keep no earlier generation for undo, also of a forget before, and print a certificate "
            "of what was taken out.",
        ),
    ] = False,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Take documents out exactly; passages that other documents share stay. Unknown documents change nothing, and are
    told by the exit code."""
    from cluster.change import forget
    from cluster.change_prepare import ChangeOptions
    from cluster.compact import compact

    if missing not in MISSING:
        raise ConfigError(f"--missing is {missing!r}; expected one of {', '.join(MISSING)}")
    begun = Purge(Path(memory)) if purge else None

    from_journal = document and not inputs and not token_ids
    options = ChangeOptions(
        resources=resources, corpus=corpus, token_ids=bool(token_ids), documents=tuple(document or ())
    )
    taken = [] if from_journal else one_of(inputs, token_ids)
    with ProgressLine("forgetting", "splits") as line:
        summary = forget(Path(memory), taken, options, on_progress=lambda progress: show_progress(progress, line))
    if begun is not None and Manifest.read(Path(memory)).is_segmented:  # else its files still hold what was taken out
        compact(Path(memory), resources)
    certificate = None if begun is None else begun.finish()
    why = "not held with this text, nothing to forget"
    _report(summary, as_json, title="Forgotten", why=why, other=_OTHER, certificate=certificate)
    if summary.unchanged and missing == MISSING[0]:
        raise typer.Exit(NOT_THERE)


def undo_command(memory: MemoryPath, as_json: AsJson = False, settings: ConfigFile = None) -> None:
    """Take back the last change; the generation before it is kept until the next."""
    manifest = undo(Path(memory))
    if as_json:
        print_json({"digest": manifest.digest, "tokens": manifest.tokens, "documents": manifest.documents})
    else:
        print(f"{memory} is again what it was before: {manifest.documents:,} documents, digest {manifest.digest}")


def one_of(inputs: list[str] | None, token_ids: list[str] | None) -> list[str]:
    """What a command was given to read.

    Raises:
        ConfigError: nothing, or both kinds.
    """
    if bool(inputs) == bool(token_ids):
        raise ConfigError("give either INPUT or --token-ids, one of the two")
    return inputs or token_ids or []


def show_progress(progress: "Progress", line: ProgressLine) -> None:
    """Show how far a change is."""
    if progress.files:
        line.merging(progress.files_done, progress.files)
    else:
        line.update(progress.splits_done / progress.splits, progress.splits_done)


def _report(
    summary: "ChangeSummary",
    as_json: bool,
    *,
    title: str,
    why: str,
    other: str,
    certificate: Certificate | None = None,
) -> None:
    warn_of_repeated_ids(summary.repeated_ids)
    if summary.other_text:
        print(f"memo-dist: {summary.other_text:,} documents have an id that is held with {other}", file=sys.stderr)
    if as_json:
        more = {} if certificate is None else {"certificate": told(certificate)}
        print_json({**asdict(summary), **more})
        return
    rows = {
        "documents": f"{summary.changed:,}" + (f"; {summary.unchanged:,} {why}" if summary.unchanged else ""),
        "memory": f"{summary.memory}: {summary.documents:,} documents, {summary.tokens:,} tokens",
        "digest": summary.digest,
        "time": f"{sum(summary.seconds.values()):.1f} s",
    }
    if summary.banks > summary.banks_before:
        rows["banks"] = f"{summary.banks:,}, {summary.banks_before:,} before: as many as the text needs now"
    if summary.rejects:
        rows["left out"] = f"what {summary.rejects} names"
    if summary.answered:
        rows["prompts"] = lengths_told(summary.answered)
    print_table(title, rows)
    if certificate is not None:
        _show_certificate(certificate)


def told(certificate: Certificate) -> dict[str, Any]:
    """A certificate as --json tells it."""
    return {**asdict(certificate), "documents": [one._asdict() for one in certificate.documents]}


def _show_certificate(certificate: Certificate) -> None:
    gone = certificate.documents
    rows = {
        "memory": certificate.memory,
        "when": certificate.when,
        "digest before": certificate.digest_before,
        "digest after": certificate.digest_after,
        "taken out": f"{len(gone):,} documents of {sum(one.tokens for one in gone):,} tokens",
        "files removed": f"{len(certificate.removed):,}; no earlier generation is left, undo has nothing to go back to",
        "not covered": "; ".join(certificate.kept),
    }
    print_table("Certificate of purging", rows)
    for one in gone:
        place = f" ({one.source}, {one.position_in} {one.position:,})" if one.source else ""
        print(f"taken out: {printable(one.id)}{printable(place)}, {one.tokens:,} tokens")
