"""memo-dist trace: which passages of a text are in a memory."""

import html
import itertools
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_text
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.durable import write_text, writing
from memo_dist.files.published import open_memory
from memo_dist.models import model_of
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.recalling.trace import Traced, described, trace

_SHADES = ("#fff3bf", "#ffc078", "#ff8787")  # by the window that matched, shortest first


def trace_command(
    memory: MemoryPath,
    text: Annotated[Path, typer.Option(help="A UTF-8 file; - for standard input.")],
    least: Annotated[int, typer.Option(help="The shortest passage that counts as held, in tokens.")] = 16,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Of every statement.")] = 0.99,
    html_out: Annotated[Path | None, typer.Option("--html", help="Also write a coloured page.")] = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Mark the passages of a text that a memory holds, token by token."""
    content = _read(text)
    with open_memory(memory) as opened:
        tokenizer = opened.tokenizer
        if tokenizer is None:
            raise ConfigError(f"{memory} is a memory of bare token ids; trace reads text")
        if not model_of(opened.config).tells_length:
            raise ConfigError(f"{memory} is of the preset {opened.config.preset!r}; trace needs the preset 'text'")
        tokens, places = tokenizer.encode_with_places(content)
        found = trace(opened, HashedCleanup(opened.config), tokens, least, min_confidence)
        windows = opened.config.windows
    if html_out is not None:
        with writing(html_out):
            write_text(html_out, _page(content, places, found, windows, f"{text} in {memory}"))
    said = described(content, tokens, places, found)
    if as_json:
        print_json(said)
        return
    _show(content, places, found, windows)
    from rich.console import Console

    passages = f"{len(found.spans)} passages of {least} tokens or more, {said['held']:.1%} of {len(tokens):,} tokens"
    Console(stderr=True).print(f"-- held: {passages}", style="yellow", highlight=False)


def _read(path: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--text {path} cannot be read: {error}") from error


def _runs(places: list[tuple[int, int]], marks: np.ndarray, length: int) -> list[tuple[int, int, int]]:
    """(start, stop, mark) of characters with one mark; every character of the text once."""
    shade = np.zeros(length + 1, np.int64)
    for (start, stop), mark in zip(places, marks.tolist(), strict=True):
        shade[start:stop] = mark
    edges = [0, *(np.flatnonzero(np.diff(shade[:length])) + 1).tolist(), length]
    return [(a, b, int(shade[a])) for a, b in itertools.pairwise(edges) if a < b]


def _marks(found: Traced, windows: tuple[int, ...]) -> np.ndarray:
    """0 for tokens that are not held, else 1 + the index of the longest window that matched, but 1 at least."""
    longest = np.searchsorted(np.array(windows), found.windows, side="right")
    return np.where(found.held, np.maximum(longest, 1), 0)


def _show(content: str, places: list[tuple[int, int]], found: Traced, windows: tuple[int, ...]) -> None:
    shown = []
    for start, stop, mark in _runs(places, _marks(found, windows), len(content)):
        colour = f"black on {_SHADES[min(mark, len(_SHADES)) - 1]}" if mark else ""
        shown.append((content[start:stop], colour))
    print_text(shown)


def _page(content: str, places: list[tuple[int, int]], found: Traced, windows: tuple[int, ...], title: str) -> str:
    body = []
    for start, stop, mark in _runs(places, _marks(found, windows), len(content)):
        text = html.escape(content[start:stop])
        window = windows[min(mark, len(windows)) - 1] if mark else 0
        colour = _SHADES[min(mark, len(_SHADES)) - 1] if mark else ""
        shaded = f'<mark style="background:{colour}" title="{window} tokens and the next">{text}</mark>'
        body.append(shaded if mark else text)
    legend = " ".join(
        f'<mark style="background:{shade}">{window} tokens and the next</mark>'
        for shade, window in zip(_SHADES, windows, strict=False)
    )
    return (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<h1>{html.escape(title)}</h1><p>held, by the longest window that matched: {legend}</p>"
        f"<pre style='white-space:pre-wrap'>{''.join(body)}</pre>\n"
    )
