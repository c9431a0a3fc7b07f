"""Flags that several commands take, spelled once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml

from memo_dist.errors import InputError
from memo_dist.sizes import parse_bytes
from pipelines.formats import ENDINGS


@dataclass
class Invocation:
    """What the program must know of a command even if the command fails."""

    as_json: bool


def read_config(context: typer.Context, value: str | None) -> None:
    """Make the settings of a YAML file the command's defaults; flags on the command line still win.

    Raises:
        InputError: the file cannot be read or names an unknown flag.
    """
    if value is None:
        return
    try:
        with open(value, encoding="utf-8") as handle:
            settings = yaml.safe_load(handle) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--config {value} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"--config {value} is not a table of flags, such as 'target-recall: 0.99'")
    names = {name.lstrip("-"): p.name for p in context.command.params for name in (*p.opts, p.name or "")}
    unknown = sorted(str(key) for key in settings if str(key) not in names)
    if unknown:
        raise InputError(
            f"--config {value} has unknown flags {unknown}; memo-dist {context.info_name} --help lists all"
        )
    chosen = {names[str(key)]: item for key, item in settings.items()}
    context.default_map = {**(context.default_map or {}), **chosen}
    if isinstance(context.obj, Invocation):
        context.obj.as_json |= bool(chosen.get("as_json"))


def budget_of(text: str | None) -> int | None:
    """Bytes of a --memory-budget, if one was given."""
    return None if text is None else parse_bytes(text)


ConfigFile = Annotated[
    str | None,
    typer.Option("--config", is_eager=True, callback=read_config, help="YAML file with any of these flags."),
]
MemoryPath = Annotated[str, typer.Argument(metavar="M.memo", help="A memory directory.")]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help=f"Files, directories, globs or URLs: {ENDINGS}."),
]
OptionalInputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="INPUT...", help=f"Files, directories, globs or URLs: {ENDINGS}."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Include = Annotated[str | None, typer.Option(help="Only files of a directory that match this glob.")]
Exclude = Annotated[str | None, typer.Option(help="No files of a directory that match this glob.")]
Errors = Annotated[str, typer.Option(help="Documents that are not UTF-8: strict, replace or skip.")]
TextKey = Annotated[str, typer.Option(help="The field of a row that holds the text.")]
IdKey = Annotated[str, typer.Option(help="The field of a row that holds the document's id.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many documents.")]
Shards = Annotated[int | None, typer.Option(help="Actors; else one a processor.")]
Device = Annotated[str, typer.Option(help="auto, cpu or gpu.")]
Budget = Annotated[
    str | None, typer.Option(help="Memory of all processes, such as 4GB; banks that it does not hold go to disk.")
]
Scratch = Annotated[Path | None, typer.Option(help="Where such banks go meanwhile; else beside the output.")]
Address = Annotated[str | None, typer.Option(help="Use the Ray cluster at this address.")]
