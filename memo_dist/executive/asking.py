"""Asking: many questions, each conducted to its answer, as a transcript that a stopped run goes on with.

Covers: questions of a file, the memory at a URL, trials, the transcript's file. Does not cover: one question
(conducting.py).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memo_dist.endpoint.endpoint import Endpoint
from memo_dist.endpoint.journal import Journal
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.endpoint.work import Ask, Item, content_key, work_off
from memo_dist.errors import EndpointError, InputError
from memo_dist.executive.asked_memory import AskedMemory, ChatMemory, LocalMemory, MemoryAsker
from memo_dist.executive.conducting import Conducting, prompts
from memo_dist.executive.options import ExecutiveOptions
from memo_dist.json_text import parse_json


@dataclass(frozen=True)
class Question:
    """A question: its id, else its number from 1 on; its text."""

    id: str
    text: str


def read_questions(path: Path) -> Iterator[Question]:
    """The questions of a file: of .jsonl, objects with `question` and perhaps `id`; of others, lines.

    Raises:
        InputError: the file cannot be read, or a row is no question; it is named.
    """
    try:
        with open(path, encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _question(line.strip(), number, path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as questions: {error}") from error


def _question(line: str, number: int, path: Path) -> Question:
    if path.suffix != ".jsonl":
        return Question(str(number), line)
    try:
        row = parse_json(line)
        text, name = row["question"], str(row.get("id", number))
        (text + name).encode()  # half a surrogate pair is no text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} line {number} is not an object with a text in 'question': {error!r}") from error
    return Question(name, text)


def ask_all(
    questions: Sequence[Question],
    memory: AskedMemory | EndpointOptions,
    out: Path,
    *,
    endpoint: EndpointOptions,
    options: ExecutiveOptions | None = None,
    asked_of: str = "",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Conduct questions; the transcript's rows, in order. A stopped run of the same output goes on with what it has.

    Args:
        memory: in this process, or where it is asked by /v1/chat/completions.
        out: the transcript, a row a question. asked_of: what names the memory's contents, such as its digest: a row is
            kept if question, memory, prompts and budgets are the same.
        on_progress: called with how many questions are answered, of how many.

    Returns:
        Rows {key, id, question, result} or, of questions that failed, {key, id, question, error}.

    Raises:
        EndpointError: the language model does not answer; what is done is kept. FencedError: another process writes
        `out`. InputError: `out` is no transcript. StorageError: it cannot be written.
    """
    chosen = options or ExecutiveOptions()
    versions = [one.version for one in prompts().values()]
    keys = [content_key(["ask", versions, asdict(chosen), asked_of, one.id, one.text]) for one in questions]

    async def run() -> list[dict[str, Any]]:
        async with AsyncExitStack() as opened:
            model = await opened.enter_async_context(Endpoint(endpoint))
            asker: MemoryAsker
            if isinstance(memory, EndpointOptions):
                asker = ChatMemory((await opened.enter_async_context(Endpoint(memory))).complete)
            else:
                asker = opened.enter_context(LocalMemory(memory))
            items = [
                Item(key, _conducted(one.text, asker, chosen), {"id": one.id, "question": one.text})
                for key, one in zip(keys, questions, strict=True)
            ]
            with Journal(out) as journal:
                await work_off(items, journal, model.complete, at_once=endpoint.concurrency, on_done=on_progress)
                return [journal.rows[key] for key in keys]

    return asyncio.run(run())


def _conducted(question: str, memory: MemoryAsker, options: ExecutiveOptions) -> Any:
    async def run(ask: Ask) -> dict[str, Any]:
        for trial in range(1, options.trials + 1):
            try:
                return await Conducting(question, ask, memory, options=options).transcript()
            except (EndpointError, ValueError):
                if trial == options.trials:
                    raise
        raise AssertionError("there is at least one trial")

    return run
