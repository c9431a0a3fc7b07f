"""memo-dist recall: continue prompts verbatim from a memory."""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from memo_dist.cli.options import Address, AsJson, ConfigFile, MemoryPath
from memo_dist.cli.output import print_json
from memo_dist.decoding import cleanup_for
from memo_dist.errors import ConfigError, InputError, PromptError
from memo_dist.prompting import TextContinuation, recall_text
from memo_dist.published import PublishedMemory, open_memory
from memo_dist.recall import DEFAULT_BEAM, DEFAULT_CONFIDENCE, recall
from memo_dist.stored import StoredMemory

if TYPE_CHECKING:
    from cluster.recall import ClusterReader


def recall_command(
    memory: MemoryPath,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="A text to continue, or token ids if the memory has no tokenizer; may be given again."),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts: .jsonl with {'text': ...} or {'tokens': [...]}, or lines.")
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
    asked = [*(prompt or []), *(_read_prompts(prompts) if prompts else [])]
    if not asked:
        raise InputError("no prompt was given; use --prompt TEXT or --prompts FILE")
    with open_memory(memory) as stored:
        tokenizer = stored.tokenizer
        ids = [_ids_of(item, tokenizer is None) for item in asked]
        texts = [item for item in asked if isinstance(item, str)]
        cleanup = cleanup_for(stored.config)
        with reader_for(stored, address, shards) as reader:
            if tokenizer is None or not texts:
                found = recall(reader, cleanup, ids, max_tokens, beam, min_confidence, from_start)
                results = [{"prompt": i.tolist(), **asdict(c)} for i, c in zip(ids, found, strict=True)]
            elif len(texts) < len(asked):
                raise InputError("some prompts are text and some token ids; ask them in two runs")
            else:
                answers = recall_text(reader, cleanup, tokenizer, texts, max_tokens, beam, min_confidence, from_start)
                results = [_result(answer) for answer in answers]
    if as_json:
        print_json({"results": results})
        return
    for result in results:
        _show(result)


def reader_for(
    stored: StoredMemory | PublishedMemory, address: str | None, shards: int | None
) -> "AbstractContextManager[StoredMemory | PublishedMemory | ClusterReader]":
    """The memory itself, read bank by bank from its files, or shard actors if the user asks for them."""
    if address is None and shards is None:
        return stored
    if isinstance(stored, PublishedMemory):
        raise ConfigError(
            f"{stored.path} is published: its files are mapped, not loaded; leave out --shards and --address"
        )
    from cluster.recall import cluster_reader

    return cluster_reader(stored.path, address, shards)


def _ids_of(prompt: "str | list[int]", spelled: bool) -> np.ndarray:
    """A prompt's token ids: given as numbers, or, for a memory without a tokenizer, spelled in a text."""
    if isinstance(prompt, str) and not spelled:
        return np.zeros(0, np.int64)  # its tokenizer will tell
    try:
        return np.array(prompt.replace(",", " ").split() if isinstance(prompt, str) else prompt, np.int64)
    except (ValueError, OverflowError) as error:
        raise PromptError(
            f"{str(prompt)[:40]!r} is no list of token ids, such as '3 1 4 1'; this memory has no tokenizer to read "
            "text with"
        ) from error


def _read_prompts(path: Path) -> "list[str | list[int]]":
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompts {path} cannot be read: {error}") from error
    numbered = [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1) if line.strip()]
    if path.suffix != ".jsonl":
        return [line for _, line in numbered]
    return [_prompt_of(line, f"{path} line {number}") for number, line in numbered]


def _prompt_of(line: str, where: str) -> "str | list[int]":
    try:
        row = json.loads(line)
        if "tokens" in row:
            return [int(token) for token in row["tokens"]]
        text = row["text"]
        text.encode()  # a lone surrogate, which JSON can spell, is no text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(
            f"{where} is not an object with a text in 'text' or token ids in 'tokens': {error!r}"
        ) from error
    return str(text)


def _result(answer: TextContinuation) -> dict[str, Any]:
    found = asdict(answer.continuation)
    return {"prompt": answer.prompt, "text": answer.text, "healed": answer.healed, **found}


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    bare = "text" not in result  # token ids
    shown = Text(" ".join(map(str, result["prompt"])) + " " if bare else result["prompt"], style="dim")
    shown.append(" ".join(map(str, result["tokens"])) if bare else result["text"], style="bold green")
    reasons = {
        "length": f"stopped after {len(result['tokens'])} tokens",
        "end_of_document": "end of document",
        "abstained": f"abstained after {len(result['tokens'])} tokens: nothing in the memory surely goes on from here "
        f"(confidence {result['stop_confidence']:.4f})",
    }
    console = Console()
    console.print(shown, soft_wrap=True)
    Console(stderr=True).print(f"-- {reasons[result['stop']]}", style="yellow", highlight=False)
