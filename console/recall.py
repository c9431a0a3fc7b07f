"""memo-dist recall: continue prompts verbatim from a memory."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from console.asking import Answer, answered
from console.flags import Address, AsJson, BankServerCount, CacheSize, ConfigFile, RangeReplicas
from console.opening import Ranges, session_of
from console.output import ProgressLine, in_colour, print_json, print_note, print_text
from memo_dist.errors import InputError
from memo_dist.recalling.options import DEFAULTS, RecallOptions, with_flags
from memo_dist.recalling.placing import MOST_NAMED
from memo_dist.recalling.prompts import STANDARD_INPUT, PromptRow, read_prompts
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.several_session import SeveralSession
from memo_dist.remote.address import refuse_address
from memo_dist.tokenizer import Tokenizer

PROMPT_ENDS = "│"  # where it is not told by colour alone
_SHOWN = 1e-6  # the least probability worth a place in the table of steps
_MOST_SHOWN = 80  # characters of a prompt that a note repeats


def recall_command(
    memories: Annotated[
        list[str],
        typer.Argument(metavar="M.memo", help="A memory directory, or s3://bucket/M.memo; several are asked together."),
    ],
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="A text to continue, or token ids if the memory has no tokenizer; may be given again."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Prompts: JSON lines or .parquet with text or tokens (and id), or lines of text; - for standard input."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A .parquet file for the answers to --prompts; the same command goes on with a stopped job."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation, in tokens.")] = DEFAULTS.max_tokens,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Abstain below this.")] = DEFAULTS.min_confidence,
    beam: Annotated[int, typer.Option(min=1, help="Rival continuations to follow; 1 is greedy.")] = DEFAULTS.beam,
    top_k: Annotated[
        int, typer.Option(min=0, help="Alternatives of each step to report, with their scores.")
    ] = DEFAULTS.top_k,
    count: Annotated[
        int, typer.Option("--n", min=1, help="Different continuations of each prompt, at most.")
    ] = DEFAULTS.count,
    from_start: Annotated[
        bool, typer.Option(help="The prompts begin documents, so they may be short.")
    ] = DEFAULTS.from_start,
    read: Annotated[
        str,
        typer.Option(help="What answers: exact (the ledger), matrices, or auto: exact where the memory has a ledger."),
    ] = DEFAULTS.read,
    exact_prompt: Annotated[
        bool, typer.Option(help="Ask prompts as they are typed, slips and all.")
    ] = DEFAULTS.exact_prompt,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Ray actors that hold the memory or, with --out, answer."),
    ] = None,
    bank_servers: BankServerCount = 0,
    range_replicas: RangeReplicas = None,
    address: Address = None,
    cache_size: CacheSize = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Continue prompts verbatim; abstain where the memory does not hold them.

    Of several memories the one answers that holds the longest end of the prompt, and the answer says which."""
    options = RecallOptions(
        max_tokens=max_tokens,
        min_confidence=min_confidence,
        beam=beam,
        from_start=from_start,
        top_k=top_k,
        count=count,
        read=read,
        exact_prompt=exact_prompt,
    )
    ranges = Ranges(bank_servers, range_replicas, address)
    for memory in memories if bank_servers else ():
        refuse_address(memory)
    if bank_servers and shards is not None and out is None:
        raise InputError("--shards loads the memory into actors, and --bank-servers read its files: give one of them")
    if out is not None:
        if prompt or prompts is None or str(prompts) == STANDARD_INPUT:
            raise InputError("--out takes its prompts from --prompts FILE, and no --prompt")
        if count > 1:
            raise InputError("--n does not belong to --out: there a row has one continuation")
        paths = [Path(memory) for memory in memories]
        _run_job(paths, prompts, out, options=options, actors=shards, ranges=ranges, as_json=as_json)
        return
    for text in prompt or []:
        _require_text(text)
    with ExitStack() as opened:
        sessions = {
            path: session_of(path, opened, ranges=ranges, shards=shards, cache_size=cache_size)
            for path in _distinct(memories)
        }
        found: Iterable[Answer] = answered(SeveralSession(sessions), prompt or [], prompts, options=options)
        tokenizers = {path: one.tokenizer if one.tokenizer_hash else None for path, one in sessions.items()}
        if not as_json and shards is None and address is None and not bank_servers:
            _show_each(found, tokenizers, named=prompts is not None, steps=bool(top_k))
            return
        found = list(found)  # what is printed while Ray is here goes where Ray's own messages do, to stderr
    if as_json:
        print_json({"results": [_told(row, several) for row, several in found]})
        return
    _show_each(found, tokenizers, named=prompts is not None, steps=bool(top_k))


def _show_each(found: Iterable[Answer], tokenizers: dict[str, Tokenizer | None], *, named: bool, steps: bool) -> None:
    """Answers as they come; with the names of a file's prompts, and the alternatives of each step."""
    for row, several in found:
        for one in several:
            result = _result(one)
            _show(result, name=row.id if named else None)
            if steps and one.tokens:
                _show_steps(result, tokenizers[one.memory or next(iter(tokenizers))])


def _told(row: PromptRow, several: list[Continuation]) -> dict[str, Any]:
    """What --json tells of a prompt: its best continuation with, of a file's prompt, its id; and the others."""
    best, *others = several
    told = {**({"id": row.id} if row.of_file else {}), **_result(best)}
    return {**told, "others": [_result(one) for one in others]} if others else told


def _distinct(memories: list[str]) -> list[str]:
    if len(set(memories)) < len(memories):
        raise InputError("a memory is named twice; name each once")
    return memories


def _require_text(prompt: str) -> None:
    """Bytes that are not UTF-8 come from the shell as lone surrogates."""
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"--prompt {prompt!r} is not UTF-8, from character {error.start} on") from error


def _run_job(
    memories: list[Path],
    prompts: Path,
    out: Path,
    *,
    options: RecallOptions,
    actors: int | None,
    ranges: Ranges,
    as_json: bool,
) -> None:
    """Answer a file into a file, by many actors."""
    from cluster.recall_job import recall_file

    if out.suffix != ".parquet":
        raise InputError(f"--out {out}: answers are written as parquet; give a name that ends in .parquet")
    with ProgressLine("recalling", "prompts") as line:
        total = sum(1 for _ in read_prompts(prompts))  # also finds bad rows before the work
        summary = recall_file(
            memories,
            prompts,
            out,
            options=options,
            actors=actors,
            address=ranges.address,
            bank_servers=ranges.servers,
            range_replicas=ranges.replicas,
            on_progress=lambda n: line.update(n / total, n),
        )
    if as_json:
        print_json(asdict(summary))
    else:
        stops = ", ".join(f"{count:,} {stop}" for stop, count in summary.stops.items())
        print(f"{summary.prompts:,} prompts answered in {out}: {stops}")


def _result(found: Continuation) -> dict[str, Any]:
    """A continuation as --json tells it: `text`, `healed`, `snapped` and `matched_text` only of prompts that are text,
    `memory` only of several, `error` only where one was refused."""
    left_out = set() if found.error is not None else {"error"}
    if found.text is None:
        left_out |= {"text", "healed", "snapped", "matched_text"}
    if found.memory is None:
        left_out.add("memory")
    result = {name: value for name, value in asdict(found).items() if name not in left_out}
    if found.reason is not None:
        result["reason"]["text"] = with_flags(found.reason.text)
    return result


def _show(result: dict[str, Any], name: str | None) -> None:
    """An answer; `name` heads that of a file's prompt, of which it is also marked where it ends."""
    bare = not isinstance(result["prompt"], str)  # token ids
    prompt = " ".join(map(str, result["prompt"])) + " " if bare else result["prompt"]
    following = " ".join(map(str, result["tokens"])) if bare else result.get("text") or ""
    snapped = result.get("snapped")
    head, mark = ([], []) if name is None else ([(f"[{name}] ", "cyan")], [] if in_colour() else [(PROMPT_ENDS, "")])
    print_text([*head, (snapped["text"] if snapped else prompt, "dim"), *mark, (following, "bold green")])
    for note, style in _notes(result):
        print_note(note, style)


def _notes(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is to be said of an answer: its documents, how the prompt was read, why it ends; with colours."""
    if result["num_documents"]:
        more = f" and {result['num_documents'] - len(result['documents'])} more" * (
            result["num_documents"] > MOST_NAMED
        )
        yield f"in {', '.join(result['documents'])}{more}", "cyan"
    if "memory" in result:
        yield f"from {result['memory']}", "cyan"
    snapped, said = result.get("snapped"), len(result["tokens"])
    if snapped:
        yield "read " + "; ".join(f"{one['typed']!r} as {one['held']!r}" for one in snapped["changes"]), "yellow"
    part = result.get("matched_text")
    if part and part.strip() != (snapped["text"] if snapped else result["prompt"]).strip():
        yield f"found only {_short(part)!r} of the prompt, its last {result['matched']} tokens", "yellow"
    if result["stop"] == "abstained":
        before = f"abstained after {said} tokens" if said else "nothing said"
        yield f"{before}: {result['reason']['text']} (confidence {result['stop_confidence']:.4f})", "yellow"
    elif result["stop"] == "refused":
        yield f"refused: {result['error']}", "yellow"
    else:
        yield "end of document" if result["stop"] == "end_of_document" else f"stopped after {said} tokens", "yellow"


def _short(text: str) -> str:
    """A text's beginning and end."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]}...{text[-_MOST_SHOWN // 2 :]}"


def _show_steps(result: dict[str, Any], tokenizer: Tokenizer | None) -> None:
    """A line a step: what it could have gone on with, and how probable each was."""
    from rich.console import Console
    from rich.table import Table

    counted = " and count" * any(one["count"] is not None for others in result["alternatives"] for one in others)
    table = Table("step", "token", f"alternatives (probability{counted})", title="on each step's own evidence")
    before = _before(result, tokenizer)
    for step, (token, others) in enumerate(zip(result["tokens"], result["alternatives"], strict=True), start=1):
        shown = [
            f"{_word(before, one['token'], tokenizer)} {_often(one)}" for one in others if one["probability"] >= _SHOWN
        ]
        table.add_row(str(step), escape(_word(before, token, tokenizer)), escape("  ".join(shown)))
        before.append(token)
    Console().print(table)


def _often(one: dict[str, Any]) -> str:
    """How probable an alternative is, and how often it was counted."""
    probable = f"{one['probability']:.3g}"
    return probable if one["count"] is None else f"{probable} ({one['count']:,})"


def _before(result: dict[str, Any], tokenizer: Tokenizer | None) -> list[int]:
    """The ids that the recalled ones follow."""
    if tokenizer is None or "text" not in result:
        return list(result["prompt"])
    ids: list[int] = tokenizer.encode([result["prompt"]])[0].tolist()
    return ids[: len(ids) - result["healed"]]


def _word(before: list[int], token: int, tokenizer: Tokenizer | None) -> str:
    """A token as it follows others; a part of a character by its number."""
    if tokenizer is None:
        return str(token)
    if token >= tokenizer.vocab_size:
        return "(end)"
    text = tokenizer.continuation(before, [token])
    return repr(text) if text else f"token:{token}"
