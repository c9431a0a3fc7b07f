"""memo-dist trace: which passages of a text are in a memory."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_text, shows_colour
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.opened import open_memory
from memo_dist.page.traced import traced_page
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS
from memo_dist.recalling.page import marked_pieces
from memo_dist.recalling.passage import Passage
from memo_dist.recalling.placing import MOST_NAMED
from memo_dist.recalling.trace import DEFAULT_LEAST, trace_text


def trace_command(
    memory: MemoryPath,
    text: Annotated[Path, typer.Option(help="A UTF-8 file; - for standard input.")],
    least: Annotated[
        int, typer.Option(help="The shortest passage that counts as held, in words and other characters.")
    ] = DEFAULT_LEAST,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Of every statement.")] = DEFAULTS.min_confidence,
    html_out: Annotated[Path | None, typer.Option("--html", help="Also write a page that shows it.")] = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Mark the passages of a text that a memory holds, token by token; list them where there is no colour."""
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
    share = f"{traced.held:.1%} of {len(traced.tokens):,} tokens"
    count = "1 passage" if len(traced.passages) == 1 else f"{len(traced.passages)} passages"
    passages = f"{count} of {least} words and other characters or more, {share}"
    told = Console(stderr=True)
    if not shows_colour():
        for passage in traced.passages:
            print(_line(passage))
        told.print(f"-- held: {passages}", style="yellow", highlight=False)
        return
    print_text([(piece, f"black on {shade}" if shade else "") for piece, _, shade in marked_pieces(traced)])
    told.print(f"-- held: {passages}", style="yellow", highlight=False)
    for passage in traced.passages:
        if passage.num_documents:
            words = passage.text.split()
            told.print(f"-- {' '.join(words[:4])!r}... in {_named(passage)}", style="cyan", markup=False)


def _line(passage: Passage) -> str:
    """A passage where colour cannot show it: its place in the text, its documents, itself."""
    named = f", in {_named(passage)}" if passage.num_documents else ""
    return f"characters {passage.start:,} to {passage.stop:,}{named}: {passage.text!r}"


def _named(passage: Passage) -> str:
    more = f" and {passage.num_documents - MOST_NAMED} more" if passage.num_documents > MOST_NAMED else ""
    return ", ".join(passage.documents) + more


def _read(path: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--text {path} cannot be read: {error}") from error
