"""memo-dist trace: which passages of a text are in a memory."""

from pathlib import Path
from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_text
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.opened import open_memory
from memo_dist.page.traced import traced_page
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS
from memo_dist.recalling.page import marked_pieces
from memo_dist.recalling.placing import MOST_NAMED
from memo_dist.recalling.trace import DEFAULT_LEAST, trace_text


def trace_command(
    memory: MemoryPath,
    text: Annotated[Path, typer.Option(help="A UTF-8 file; - for standard input.")],
    least: Annotated[
        int, typer.Option(help="The shortest passage that counts as held, in words and other characters.")
    ] = DEFAULT_LEAST,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Of every statement.")] = DEFAULTS.min_confidence,
    html_out: Annotated[
        Path | None, typer.Option("--html", help="Also write a page that shows it.")
    ] = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Mark the passages of a text that a memory holds, token by token."""
    content = _read(text)
    with open_memory(memory) as opened:
        tokenizer = opened.tokenizer
        if tokenizer is None:
            raise ConfigError(f"{memory} is a memory of bare token ids; trace reads text")
        traced = trace_text(Lookup(opened), tokenizer, content, least=least, min_confidence=min_confidence)
    if html_out is not None:
        with writing(html_out):
            write_text(html_out, traced_page(traced, f"{text} in {memory}"))
    if as_json:
        print_json(traced.to_dict())
        return
    print_text([(piece, f"black on {shade}" if shade else "") for piece, _, shade in marked_pieces(traced)])
    from rich.console import Console

    share = f"{traced.held:.1%} of {len(traced.tokens):,} tokens"
    passages = f"{len(traced.found.spans)} passages of {least} words and other characters or more, {share}"
    told = Console(stderr=True)
    told.print(f"-- held: {passages}", style="yellow", highlight=False)
    for (start, stop), place in zip(traced.found.spans, traced.stands, strict=True):
        if place.count:
            more = f" and {place.count - MOST_NAMED} more" if place.count > MOST_NAMED else ""
            words = traced.text[traced.places[start][0] : traced.places[stop - 1][1]].split()
            told.print(
                f"-- {' '.join(words[:4])!r}... in {', '.join(place.documents)}{more}", style="cyan", markup=False
            )


def _read(path: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--text {path} cannot be read: {error}") from error
