"""memo-dist answer, and build --reflections: questions and answers, memorized and asked."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.flags import AsJson, AskedMemory, CacheSize, ConfigFile
from console.opening import open_asked
from console.output import print_json, print_note, print_table, printable
from memo_dist.recalling.lookup import Lookup
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.resources import Resources


def answer_command(
    memory: AskedMemory,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="A question, in any wording that is stored.")],
    form: Annotated[list[str] | None, typer.Option(help="Another way to ask the same; each has a vote.")] = None,
    cache_size: CacheSize = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Answer a question from the reflections that a memory holds: verbatim, or "I don't know", and why."""
    from memo_dist.reflections.answering import answer_question

    with open_asked(memory, cache_size) as opened:
        found = answer_question(Lookup(opened), question, form or ())
    if as_json:
        print_json(asdict(found))
        return
    print(printable(found.text))
    if found.answer is None:
        print_note(f"{found.reason}" + _drawn(found.documents), "yellow")
    else:
        agreed = "" if found.confidence == 1 else f"; {found.confidence:.0%} of the forms asked agree"
        print_note(f"the question {found.form}{agreed}{_drawn(found.documents)}", "green")


def _drawn(documents: tuple[str, ...]) -> str:
    return f"; from {printable(', '.join(documents))}" if documents else ""


def memorize_reflections(
    file: str, out: Path, shape: dict[str, int | None], *, resources: "Resources", as_json: bool
) -> None:
    """Build a memory of reflections, and say what was memorized.

    Args:
        shape: num_banks, inner_dim and seed; None as build_reflections chooses.
    """
    from cluster.clock import Clock
    from cluster.machine import machines_for
    from memo_dist.reflections.building import build_reflections

    clock, given = Clock(), {name: value for name, value in shape.items() if value is not None}
    made = build_reflections(file, out, most_bytes=machines_for(resources).budget, **given)
    size = sum(one.stat().st_size for one in out.rglob("*") if one.is_file())
    clock.lap("build")
    if as_json:
        facts = {"digest": made.digest, "reflections": made.documents, "associations": made.associations}
        more = {"tokens": made.tokens, "banks": made.config.num_banks, "bytes_on_disk": size}
        print_json({"out": str(out), **facts, **more, "seconds": clock.rounded()})
        return
    rows = {
        "memory": f"{out} ({show_bytes(size)})",
        "reflections": f"{made.documents:,}, of {made.tokens:,} tokens",
        "associations": f"{made.associations:,} in {made.config.num_banks:,} banks",
        "digest": made.digest,
        "time": f"{sum(clock.rounded().values()):.1f} s",
    }
    print_table("Memorized", rows)
