"""memo-dist inspect: what a memory holds."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from console.flags import AsJson, AskedMemory, ConfigFile
from console.opening import open_asked
from console.output import print_json, print_rows, print_table, printable, show_fact
from memo_dist.about import facts_of
from memo_dist.documents import listing
from memo_dist.errors import ConfigError, MissingExtraError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory
from memo_dist.models import model_of
from memo_dist.models.repetition import Answered
from memo_dist.planning.capacity import lengths_of, lengths_told, overload_told, recall_of
from memo_dist.sizes import show_bytes

_FEW = 20


def inspect_command(
    memory: AskedMemory,
    documents: Annotated[
        bool,
        typer.Option(
            "--documents",
            help=f"List the documents instead, by source and position: the first {_FEW} on a terminal, else all.",
        ),
    ] = False,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Show what a memory holds: size, load, digest, sources; or its documents."""
    with open_asked(memory) as stored:
        if documents:
            _list_documents(stored, as_json)
            return
        _ = stored.tokenizer  # refuses one that does not belong to the memory
        manifest, size = stored.manifest, stored.bytes_on_disk
    if manifest.solved is not None:
        _show_solved(memory, manifest, size=size, as_json=as_json)
        return
    answered = predicted_lengths(manifest)
    facts = {
        **facts_of(manifest, size),
        "predicted_recall": predicted_recall(manifest),
        "sources": [entry.to_dict() for entry in manifest.sources],
    }
    if as_json:
        print_json({**facts, "answered": [asdict(one) for one in answered]})
        return
    shown = {name: show_fact(value) for name, value in facts.items()}
    shown["bytes_on_disk"] = show_bytes(size)
    del shown["sources"]
    if model_of(manifest.config).tells_length:
        shown["prompts"] = prompts_told(manifest.config, answered, exactly=not manifest.bits)
    print_table(str(memory), shown)
    _show_journal(manifest)


def _show_journal(manifest: Manifest) -> None:
    journal = enumerate(manifest.sources, start=1)
    print_table("Journal", {f"{number}. {entry.when}": entry.told() for number, entry in journal})


def _show_solved(memory: str, manifest: Manifest, *, size: int, as_json: bool) -> None:
    facts = {**facts_of(manifest, size), "sources": [entry.to_dict() for entry in manifest.sources]}
    if as_json:
        print_json(facts)
        return
    shown = {name: show_fact(value) for name, value in facts.items() if name != "sources"}
    shown["prompts"] = prompts_told(manifest.config, [])
    print_table(str(memory), {**shown, "bytes_on_disk": show_bytes(size)})
    _show_journal(manifest)


def _list_documents(stored: OpenMemory, as_json: bool) -> None:
    """As one JSON object, a table, or lines of fields between tabs for other programs."""
    if stored.is_published:
        raise ConfigError(
            f"{stored.path} is published: it keeps no list of documents. Ask the memory that it was made from"
        )
    terminal = sys.stdout.isatty() and not as_json
    tables = stored.require_working().documents()
    listed = listing(tables, first=_FEW) if terminal else listing(tables)
    rows = listed.to_pylist()
    if as_json:
        print_json({"documents": rows})
        return
    rows = [{name: printable(value) for name, value in row.items()} for row in rows]
    if terminal:
        print_rows(f"Documents of {stored.path}", {name: name.replace("_", " ") for name in listed.column_names}, rows)
        if more := stored.manifest.documents - len(rows):
            print(f"and {more:,} more; --json, or a pipe, shows all")
    else:
        print("\t".join(listed.column_names))
        for row in rows:
            print("\t".join(map(str, row.values())))


def predicted_lengths(manifest: Manifest) -> list[Answered]:
    """By the capacity law, for each length of prompt; none where SciPy is not installed or the law has none."""
    try:
        return lengths_of(manifest)
    except MissingExtraError:
        return []


def predicted_recall(manifest: Manifest) -> float | None:
    """By the capacity law; None, with a remark on stderr, where SciPy is not installed."""
    try:
        return recall_of(manifest)
    except MissingExtraError as error:
        print(f"memo-dist: no predicted_recall: {error}", file=sys.stderr)
        return None


def warn_of_overload(memory: str) -> None:
    """Say on stderr, if it is so, that a memory's matrices hold more than they recall."""
    try:
        told = overload_told(Manifest.read(Path(memory)))
    except MissingExtraError:
        return
    if told:
        print(f"memo-dist: warning: {told}: memo-dist rebank {memory} --banks N --out NEW.memo", file=sys.stderr)


def prompts_told(config: Any, answered: list[Answered], *, exactly: bool = True) -> str:
    """What length of prompt a memory of windows answers, in words."""
    shortest = config.windows[0]
    unit = "words and other characters" if config.reads_text else "tokens"
    law = f"; {lengths_told(answered, exactly=exactly)}" if answered else ""
    return f"of {shortest} {unit} and more are answered{law}"
