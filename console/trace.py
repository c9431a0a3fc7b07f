"""memo-dist trace: which passages of a text are in a memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from console.flags import AsJson, AskedMemory, CacheSize, ConfigFile
from console.opening import open_asked
from console.output import in_colour, print_json, print_note, print_text, printable
from console.texts import read_text
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError
from memo_dist.page.traced import traced_page
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near import summary, with_near
from memo_dist.recalling.options import DEFAULTS
from memo_dist.recalling.page import marked_pieces
from memo_dist.recalling.placing import MOST_NAMED, Place
from memo_dist.recalling.trace import DEFAULT_LEAST, TracedText, trace_text

_WORDS = 4  # that a listed passage is shown with, at either end


def trace_command(
    memory: AskedMemory,
    text: Annotated[Path, typer.Option(help="A UTF-8 file; - for standard input.")],
    least: Annotated[
        int, typer.Option(help="The shortest passage that counts as held, in words and other characters.")
    ] = DEFAULT_LEAST,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Of every statement.")] = DEFAULTS.min_confidence,
    fuzzy: Annotated[
        bool, typer.Option("--fuzzy", help="Also find passages that are held nearly, and say what differs.")
    ] = False,
    html_out: Annotated[Path | None, typer.Option("--html", help="Also write a page that shows it.")] = None,
    cache_size: CacheSize = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Mark the passages of a text that a memory holds, token by token, or list them where there is no colour."""
    content = read_text(text, "--text")
    with open_asked(memory, cache_size) as opened:
        tokenizer = opened.tokenizer
        if tokenizer is None:
            raise ConfigError(f"{memory} is a memory of bare token ids; trace reads text")
        lookup = Lookup(opened)
        traced = trace_text(lookup, tokenizer, content, least=least, min_confidence=min_confidence)
        if fuzzy:
            traced = with_near(lookup, tokenizer, traced)
    if html_out is not None:
        with writing(html_out):
            write_text(html_out, traced_page(traced, f"{text} in {memory}"))
    if as_json:
        print_json(traced.to_dict())
        return
    if in_colour():
        print_text([(piece, f"black on {shade}" if shade else "") for piece, _, shade in marked_pieces(traced)])
    for line in _listed(traced):
        print(line)
    share = f"{traced.held:.1%} of {len(traced.tokens):,} tokens"
    count = "1 passage" if len(traced.found.spans) == 1 else f"{len(traced.found.spans)} passages"
    passages = f"{count} of {least} words and other characters or more, {share}"
    print_note(f"held: {passages}" + f"; held nearly: {len(traced.near or [])}" * fuzzy, "yellow")


def _listed(traced: TracedText) -> Iterator[str]:
    """A line for each passage: its characters in the text, how it begins and ends, where it stands, what differs."""
    rows = [
        (traced.places[start][0], traced.places[stop - 1][1], f"held{_stands(place)}")
        for (start, stop), place in zip(traced.found.spans, traced.stands, strict=True)
    ]
    rows += [(one.start, one.stop, f"nearly: {summary(one)}") for one in traced.near or []]
    for start, stop, told in sorted(rows):
        yield printable(f"{start:,}-{stop:,} {_ends(traced.text[start:stop])!r} {told}")


def _stands(place: Place) -> str:
    if not place.count:
        return ""
    more = f" and {place.count - MOST_NAMED} more" if place.count > MOST_NAMED else ""
    return f", in {', '.join(place.documents)}{more}"


def _ends(text: str) -> str:
    """The first and the last words of a passage."""
    words = text.split()
    return " ".join(words if len(words) <= 2 * _WORDS else [*words[:_WORDS], "...", *words[-_WORDS:]])
