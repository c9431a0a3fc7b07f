"""memo-dist where: which documents hold a passage, how often, and where in them."""

from pathlib import Path
from typing import Annotated

import typer

from console.flags import AsJson, AskedMemory, CacheSize, ConfigFile
from console.opening import open_asked
from console.output import print_json, printable
from console.texts import read_text
from memo_dist.errors import InputError
from memo_dist.recalling.where import DEFAULT_LEAST, HeldPiece, Whereabouts, where_text

_SHOWN = 8  # places of a document
_WORDS = 8  # of a piece


def where_command(
    memory: AskedMemory,
    text: Annotated[str | None, typer.Option(help="The passage; token ids if the memory has no tokenizer.")] = None,
    file: Annotated[Path | None, typer.Option(help="A UTF-8 file of it instead; - for standard input.")] = None,
    least: Annotated[
        int, typer.Option(min=4, help="The shortest piece, in words and other characters, where only parts are held.")
    ] = DEFAULT_LEAST,
    cache_size: CacheSize = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Name the documents that hold a passage, how often, and from which token to which."""
    if (text is None) == (file is None):
        raise InputError("give the passage once: --text TEXT, or --file FILE, - for standard input")
    asked = read_text(file, "--file") if file is not None else text or ""
    with open_asked(memory, cache_size) as opened:
        found = where_text(opened, asked, least=least)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)


def _show(found: Whereabouts) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found.pieces:
        print(f"not held: {found.note}")
        return
    print(f"held whole, {found.tokens:,} tokens" if found.whole else f"held in part, of {found.tokens:,} tokens")
    table = Table(*("passage", "tokens", "document", "times", "tokens of the document"))
    notes = dict.fromkeys(piece.note for piece in found.pieces if piece.note)
    for piece in found.pieces:
        names: list[str] = list(piece.documents) or ["several, not told" if piece.several else "not told"]
        for row, name in enumerate(names):
            which = (_words(piece), f"{piece.first_token:,}-{piece.stop_token - 1:,}") if not row else ("", "")
            table.add_row(*(Text(str(printable(one))) for one in (*which, name, *_places(piece, name))))
        if piece.num_documents > len(names):
            table.add_row("", "", f"and {piece.num_documents - len(names):,} more")
    Console().print(table)
    for note in notes:
        print(f"-- {note}")


def _words(piece: HeldPiece) -> str:
    words = piece.text.split()
    return " ".join(words) if len(words) <= _WORDS else f"{' '.join(words[:4])} ... {' '.join(words[-3:])}"


def _places(piece: HeldPiece, name: str) -> tuple[str, str]:
    """How often a piece stands in a document, and where."""
    if piece.times is None:
        return "-", "-"
    places = [f"{one.first_token:,}-{one.stop_token - 1:,}" for one in piece.occurrences if one.document == name]
    more = len(places) > _SHOWN or len(piece.occurrences) < piece.times
    said = " ".join(places[:_SHOWN]) + (" ..." if more else "")
    return (f"{piece.times:,}" if piece.num_documents == 1 else f"{len(places):,}{'+' * more}"), said
