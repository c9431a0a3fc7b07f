"""memo-dist ask: questions that a language model answers by asking a memory."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.endpoint_flags import endpoint_flags, read_key
from console.flags import AsJson, ConfigFile
from console.output import ProgressLine, print_json, print_note, print_text
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.errors import ConfigError, InputError
from memo_dist.executive.options import ExecutiveOptions
from memo_dist.extras import require

if TYPE_CHECKING:
    from memo_dist.executive.asked_memory import AskedMemory
    from memo_dist.executive.asking import Question

_URL = ("http://", "https://")


@endpoint_flags
def ask_command(
    *,
    memory: Annotated[
        str, typer.Argument(metavar="M.memo", help="A memory of reflections, or the URL of a service that has one.")
    ],
    question: Annotated[list[str] | None, typer.Option(help="A question; may be given again.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="A file of questions: .jsonl with question (and id), or lines.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The transcript, .jsonl; the same command goes on with a stopped one.")
    ] = None,
    entity_turns: Annotated[
        int, typer.Option(min=0, help="Turns to find out whom a question is about.")
    ] = ExecutiveOptions.entity_turns,
    answer_turns: Annotated[int, typer.Option(min=0, help="Turns to find the answer.")] = ExecutiveOptions.answer_turns,
    dead_end_after: Annotated[
        int, typer.Option(min=1, help="A question that is not known so many times is not asked again.")
    ] = ExecutiveOptions.dead_end_after,
    skip_entity: Annotated[bool, typer.Option("--skip-entity", help="Seek the answer at once.")] = False,
    memory_key_file: Annotated[
        Path | None, typer.Option(help="A file with the key that a memory at a URL wants.")
    ] = None,
    endpoint: EndpointOptions,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Answer questions that take several facts: a language model asks the memory for one after another.

    The model takes the question apart, finds out whom it is about, seeks the answer, and says it; what it does not get
    from the memory it does not know. Every form of a question is asked, and their agreement is the confidence."""
    from memo_dist.executive.asking import Question, read_questions

    budgets = ExecutiveOptions(
        entity_turns=entity_turns, answer_turns=answer_turns, dead_end_after=dead_end_after, skip_entity=skip_entity
    )
    require("aiohttp")
    asked = [Question(str(number), text) for number, text in enumerate(question or [], start=1)]
    asked += list(read_questions(questions)) if questions is not None else []
    if not asked:
        raise InputError("no question was given; use --question TEXT or --questions FILE")
    with TemporaryDirectory() as folder:
        transcript = out or Path(folder) / "transcript.jsonl"
        with ProgressLine("asking", "questions") as line:
            rows = _rows(memory, asked, transcript, endpoint=endpoint, budgets=budgets, line=line, key=memory_key_file)
    failed = sum("error" in row for row in rows)
    if as_json:
        print_json({"results": [_told(row) for row in rows], "failed": failed})
        return
    for row in rows:
        _show(row)
    if failed and out is not None:
        print_note(f"{failed} failed; the same command asks them again", "yellow")


def _rows(
    memory: str,
    asked: "list[Question]",
    transcript: Path,
    *,
    endpoint: EndpointOptions,
    budgets: ExecutiveOptions,
    line: ProgressLine,
    key: Path | None,
) -> list[dict[str, Any]]:
    from memo_dist.executive.asking import ask_all

    def ask(held: "AskedMemory | EndpointOptions", name: str) -> list[dict[str, Any]]:
        return ask_all(
            asked,
            held,
            transcript,
            endpoint=endpoint,
            options=budgets,
            asked_of=name,
            on_progress=lambda done, total: line.update(done / max(total, 1), done),
        )

    if memory.startswith(_URL):
        return ask(EndpointOptions(url=memory, key=read_key(key) if key else None), memory)
    from memo_dist.memory_on_disk import open as open_on_disk
    from memo_dist.reflections.answering import NO_REFLECTIONS
    from memo_dist.reflections.layout import holds_reflections

    with open_on_disk(memory) as held:
        if not holds_reflections(held.config):
            raise ConfigError(f"{memory}: {NO_REFLECTIONS}")
        return ask(held, held.digest)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What --json tells of a question; the transcript has the rest."""
    told = {"id": row["id"], "question": row["question"]}
    if "error" in row:
        return {**told, "error": row["error"]}
    result = row["result"]
    return {**told, **{name: result[name] for name in ("answer", "justification", "entity", "entity_confirmed")}}


def _show(row: dict[str, Any]) -> None:
    print_text([(f"[{row['id']}] ", "cyan"), (row["question"], "dim")])
    if "error" in row:
        print_note(f"failed: {row['error']}", "yellow")
        return
    result = row["result"]
    print_text([(result["answer"], "bold green")])
    for one in result["exchanges"]:
        said = one["answer"] if one["answer"] is not None else f"not known: {one['reason']}"
        print_note(f"{one['question']} {said} (confidence {one['confidence']:.2f})", "cyan")
