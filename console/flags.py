"""Flags that several commands take, spelled once.

Covers: single flags, the two groups of flags that arrive as one object, the settings file. Does not cover: flags of one
command alone, which stand in its file.

A command that takes a group has one parameter for it, and a decorator that puts the flags in its place:

    @resource_flags()
    @corpus_flags()
    def add_command(memory: MemoryPath, *, resources: "Resources", corpus: "CorpusOptions", as_json: AsJson = False)

typer sees the flags, so that --help and --config know each of them; the command sees a Resources and a CorpusOptions.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.resources import Resources
from console.inputs import taken_inputs
from memo_dist.errors import ConfigError, InputError
from memo_dist.extras import extra
from memo_dist.sizes import parse_bytes, parse_seconds
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
    with extra():
        import yaml  # only --config needs it
    try:
        with open(value, encoding="utf-8") as handle:
            settings = yaml.safe_load(handle) or {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: not UTF-8, or no path
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


def windows_of(text: str | None) -> tuple[int, ...] | None:
    """The numbers of a --windows, if one was given.

    Raises:
        ConfigError: they are no whole numbers.
    """
    try:
        return None if text is None else tuple(int(part) for part in str(text).split(","))
    except ValueError as error:
        raise ConfigError(f"--windows is {text!r}; expected whole numbers of units, such as 4,8,16,32,64") from error


ConfigFile = Annotated[
    str | None,
    typer.Option("--config", is_eager=True, callback=read_config, help="YAML file with any of these flags."),
]
MemoryPath = Annotated[str, typer.Argument(metavar="M.memo", help="A memory directory.")]
AskedMemory = Annotated[
    str, typer.Argument(metavar="M.memo", help="A memory directory, or a published memory at s3://bucket/M.memo.")
]
WorkDirectory = Annotated[
    Path | None,
    typer.Option("--work", help="Where a memory for an object store is made first; else beside the cache."),
]
CacheSize = Annotated[
    str | None,
    typer.Option("--cache-size", help="Room here for what is read of memories in object stores; 16GB unless given."),
]
OptionalInputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="INPUT...", help=f"Files, directories, globs, URLs, or - for standard input: {ENDINGS}."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Include = Annotated[str | None, typer.Option(help="Read only the files of a directory that match this glob.")]
Exclude = Annotated[str | None, typer.Option(help="Leave out the files of a directory that match this glob.")]
Errors = Annotated[
    str,
    typer.Option(
        help="What to do with documents that are not UTF-8: strict, replace or skip; skip also leaves out bad rows."
    ),
]
ReadAs = Annotated[
    str | None,
    typer.Option(
        "--format", help="Read every file as this, whatever its ending, such as text or jsonl; else its ending tells."
    ),
]
FromList = Annotated[
    str | None, typer.Option(metavar="FILE", help="Read also what the lines of this file name, an input in each.")
]
TextKey = Annotated[
    str, typer.Option(help="The field of a row that holds the text; text.content names one inside another.")
]
IdKey = Annotated[str, typer.Option(help="The field of a row that holds the document's id.")]
Limit = Annotated[int | None, typer.Option(help="Read only this many documents, the first ones.")]
Shards = Annotated[int | None, typer.Option(help="How many files the memory has; one for each processor unless given.")]
Device = Annotated[str, typer.Option(help="Where banks are changed: auto, cpu or gpu.")]
Budget = Annotated[
    str | None,
    typer.Option(help="Memory of all processes together, such as 4GB: the less, the less is merged at a time."),
]
Address = Annotated[str | None, typer.Option(help="Use the Ray cluster at this address.")]
BankServerCount = Annotated[
    int,
    typer.Option(
        "--bank-servers", min=0, help="Ray actors, one a node, that have the memory's files between them; 0: none."
    ),
]
RangeReplicas = Annotated[
    int | None, typer.Option(min=1, help="Bank servers that have each file; else 2, or 1 of one server.")
]
WorkAddress = Annotated[
    str | None,
    typer.Option(
        help="Use the Ray cluster at this address; local: start one here; none: threads of this process. Left out: "
        "threads for up to about 30 MB of text, else local."
    ),
]
CheckpointEvery = Annotated[
    str,
    typer.Option(help="Preset paper: work that may be lost, such as 60s or 10m. Of others what is done is never lost."),
]

LogFile = Annotated[Path | None, typer.Option(help="Add to this file what the command does and what is lost.")]
MetricsPort = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Tell Prometheus at this port, /metrics, how far the command is."),
]

MetricsHost = Annotated[
    str, typer.Option(help="Tell it at this address of the machine; 0.0.0.0: at all, to anybody who can reach it.")
]

Windows = Annotated[
    str | None,
    typer.Option(help="Preset text: how many units of text before a place its keys know; 4,8,16,32,64 unless given."),
]
Keys = Annotated[
    str | None,
    typer.Option(help="Preset text: what a unit is: text (words and other characters), unless given, or tokens."),
]

Command = Callable[..., None]
_RESOURCES: dict[str, tuple[Any, Any]] = {  # field of Resources -> its flag's type and default
    "shards": (Shards, Resources.shards),
    "device": (Device, Resources.device),
    "address": (WorkAddress, Resources.address),
    "memory_budget": (Budget, None),
    "checkpoint_every": (CheckpointEvery, f"{Resources.checkpoint_every:g}s"),
    "log_file": (LogFile, Resources.log_file),
    "metrics_port": (MetricsPort, Resources.metrics_port),
    "metrics_host": (MetricsHost, Resources.metrics_host),
}
_CORPUS: dict[
    str, tuple[Any, Any]
] = {  # field of CorpusOptions, which is not imported here: it needs the cluster extra
    "text_key": (TextKey, "text"),
    "id_key": (IdKey, "id"),
    "include": (Include, None),
    "exclude": (Exclude, None),
    "errors": (Errors, "strict"),
    "limit": (Limit, None),
    "format": (ReadAs, None),
}


def resource_flags(*names: str, **fixed: Any) -> Callable[[Command], Command]:
    """Give a command the flags of Resources; it gets one Resources as its parameter `resources`.

    Args:
        names: fields that have a flag; none named: all.
        fixed: fields that have no flag, and another value than the default.
    """

    def made(given: dict[str, Any]) -> Resources:
        values = {**fixed, **given}
        if "memory_budget" in given:
            values["memory_budget"] = budget_of(given["memory_budget"])
        if "checkpoint_every" in given:
            values["checkpoint_every"] = parse_seconds(given["checkpoint_every"])
        return Resources(**values)

    return grouped("resources", _some_of(_RESOURCES, names), made)


def corpus_flags(*names: str) -> Callable[[Command], Command]:
    """Give a command the flags of CorpusOptions; it gets one CorpusOptions as its parameter `corpus`, and as its
    `inputs` those of --from-list, too.

    Args:
        names: fields that have a flag; none named: all, and --from-list.
    """
    # of --from-list come inputs, no field
    taken = _some_of(_CORPUS, names) if names else {**_CORPUS, "from_list": (FromList, None)}

    def made(given: dict[str, Any]) -> object:
        from pipelines.plan import CorpusOptions

        return CorpusOptions(**{name: value for name, value in given.items() if name != "from_list"})

    def decorate(command: Command) -> Command:
        inner = grouped("corpus", taken, made)(command)

        @wraps(inner)
        def called(**given: Any) -> None:
            if "inputs" not in given:
                return inner(**given)
            with extra(), taken_inputs(given["inputs"], given.get("from_list")) as inputs:
                return inner(**{**given, "inputs": inputs})

        return called

    return decorate


def _some_of(flags: dict[str, tuple[Any, Any]], names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    return {name: flags[name] for name in names or flags}


def grouped(
    parameter: str, flags: dict[str, tuple[Any, Any]], make: Callable[[dict[str, Any]], object]
) -> Callable[[Command], Command]:
    """Put flags in the place of a command's parameter, and call the command with what `make` makes of them."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(**given: Any) -> None:
            values = {name: given.pop(name) for name in flags}
            command(**given, **{parameter: make(values)})

        parameters: list[inspect.Parameter] = []
        for one in inspect.signature(command).parameters.values():
            replaced = [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for name, (kind, default) in flags.items()
            ]
            parameters += replaced if one.name == parameter else [one.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return decorate
