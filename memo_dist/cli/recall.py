"""memo-dist recall: continue prompts verbatim from a memory."""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memo_dist.cli.options import Address, AsJson, ConfigFile, MemoryPath
from memo_dist.cli.output import print_json
from memo_dist.decoding import cleanup_for
from memo_dist.errors import InputError, PromptError
from memo_dist.prompting import TextContinuation, recall_text
from memo_dist.recall import DEFAULT_BEAM, DEFAULT_CONFIDENCE
from memo_dist.stored import StoredMemory

if TYPE_CHECKING:
    from cluster.recall import ClusterReader


def recall_command(
    memory: MemoryPath,
    prompt: Annotated[list[str] | None, typer.Option(help="A text to continue; may be given several times.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts: .jsonl with {'text': ...}, or one a line.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation.")] = 50,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Abstain below this.")] = DEFAULT_CONFIDENCE,
    beam: Annotated[int, typer.Option(min=1, help="Rival continuations to follow; 1 is greedy.")] = DEFAULT_BEAM,
    from_start: Annotated[bool, typer.Option(help="The prompts begin documents, so they may be short.")] = False,
    shards: Annotated[int | None, typer.Option(min=1, help="Load the memory into this many Ray actors.")] = None,
    address: Address = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Continue prompts verbatim; abstain where the memory does not hold them."""
    texts = [*(prompt or []), *(_read_prompts(prompts) if prompts else [])]
    if not texts:
        raise InputError("no prompt was given; use --prompt TEXT or --prompts FILE")
    with StoredMemory(memory) as stored:
        tokenizer = stored.tokenizer
        if tokenizer is None:
            raise InputError(f"{memory} is a memory of bare token ids; it has no tokenizer to read text with")
        cleanup = cleanup_for(stored.config)
        with reader_for(stored, address, shards) as reader:
            answers = recall_text(
                reader, cleanup, tokenizer, texts, max_tokens, beam, min_confidence, at_start=from_start
            )
    results = [_result(answer) for answer in answers]
    if as_json:
        print_json({"results": results})
        return
    for result in results:
        _show(result)


def reader_for(
    stored: StoredMemory, address: str | None, shards: int | None
) -> "AbstractContextManager[StoredMemory | ClusterReader]":
    """The memory itself, read bank by bank from its files, or shard actors if the user asks for them."""
    if address is None and shards is None:
        return stored
    from cluster.recall import cluster_reader

    return cluster_reader(stored.path, address, shards)


def _read_prompts(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompts {path} cannot be read: {error}") from error
    numbered = [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1) if line.strip()]
    if path.suffix != ".jsonl":
        return [line for _, line in numbered]
    return [_prompt_of(line, f"{path} line {number}") for number, line in numbered]


def _prompt_of(line: str, where: str) -> str:
    try:
        text = json.loads(line)["text"]
        text.encode()  # a lone surrogate, which JSON can spell, is no text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(f"{where} is not an object with a text in 'text': {error!r}") from error
    return str(text)


def _result(answer: TextContinuation) -> dict[str, Any]:
    found = asdict(answer.continuation)
    return {"prompt": answer.prompt, "text": answer.text, "healed": answer.healed, **found}


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    shown = Text(result["prompt"], style="dim")
    shown.append(result["text"], style="bold green")
    reasons = {
        "length": f"stopped after {len(result['tokens'])} tokens",
        "end_of_document": "end of document",
        "abstained": f"abstained after {len(result['tokens'])} tokens: nothing in the memory surely goes on from here "
        f"(confidence {result['stop_confidence']:.4f})",
    }
    console = Console()
    console.print(shown, soft_wrap=True)
    Console(stderr=True).print(f"-- {reasons[result['stop']]}", style="yellow", highlight=False)
