"""Flags of commands that ask a language model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from console.flags import Command, grouped
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.errors import InputError

_FLAGS: dict[str, tuple[Any, Any]] = {
    "endpoint": (
        Annotated[str, typer.Option(help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")],
        ...,
    ),
    "model": (Annotated[str | None, typer.Option(help="A model of it; the first that it lists unless given.")], None),
    "api_key_file": (Annotated[Path | None, typer.Option(help="A file with the key that it wants.")], None),
    "concurrency": (Annotated[int, typer.Option(min=1, help="Things asked at once.")], EndpointOptions.concurrency),
    "per_minute": (Annotated[float | None, typer.Option(min=0.1, help="Requests a minute, at most.")], None),
    "timeout": (Annotated[float, typer.Option(min=0.1, help="Seconds of a request.")], EndpointOptions.timeout),
    "hedge_after": (
        Annotated[float, typer.Option(min=0.01, help="Seconds after which a request is sent a second time beside it.")],
        EndpointOptions.hedge_after,
    ),
    "trials": (Annotated[int, typer.Option(min=1, help="Trials of a request that fails.")], EndpointOptions.trials),
}


def endpoint_flags(command: Command) -> Command:
    """Give a command the flags of an EndpointOptions, which it gets as its parameter `endpoint`."""
    return grouped("endpoint", _FLAGS, _options)(command)


def _options(given: dict[str, Any]) -> EndpointOptions:
    file = given.pop("api_key_file")
    return EndpointOptions(url=given.pop("endpoint"), key=read_key(file) if file else None, **given)


def read_key(file: Path) -> str:
    """The key that a file holds.

    Raises:
        InputError: it cannot be read, or holds more than a key.
    """
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the key file {file} cannot be read: {error}") from error
    if not key or len(key.split()) > 1:
        raise InputError(f"the key file {file} holds no single key; expected one line with one key")
    return key
