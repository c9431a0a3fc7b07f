"""memo-dist evaluate: next-token recall, its ceiling, verbatim continuation, confidence on unseen text."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer

from console.flags import Address, AsJson, AskedMemory, CacheSize, ConfigFile, OptionalInputs, corpus_flags
from console.opening import open_asked, reader_for
from console.output import print_json, print_table
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.batch_file import read_batches, temporary_directory, write_batches
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.opened import OpenMemory
from memo_dist.measuring.evaluation import evaluate
from memo_dist.measuring.verbatim import CONTINUED, PROMPTS
from memo_dist.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pipelines.plan import CorpusOptions, CorpusPlan


@corpus_flags()
def evaluate_command(
    *,
    memory: AskedMemory,
    inputs: OptionalInputs = None,
    token_ids: Annotated[
        list[str] | None, typer.Option(help="Instead of INPUT, as for build, for a memory of bare token ids.")
    ] = None,
    unseen: Annotated[list[str] | None, typer.Option(help="Text that was not memorized; may be given again.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many positions to ask for the next token.")] = 5000,
    prompts: Annotated[
        int, typer.Option(min=0, help="How many prompts of each length to continue by 30 tokens.")
    ] = 200,
    lengths: Annotated[str, typer.Option(help="How many tokens these prompts have: one length, or several.")] = (
        ",".join(map(str, PROMPTS))
    ),
    shards: Annotated[int | None, typer.Option(min=1, help="Load the memory into this many Ray actors.")] = None,
    address: Address = None,
    corpus: "CorpusOptions",
    cache_size: CacheSize = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Measure a memory on the tokens that it keeps, or on the corpus it was built from: give INPUT and the same corpus
    flags as to build, if it keeps none. Meanwhile the tokens of INPUT are in the system's directory for temporary
    files, 4 bytes for each token."""
    asked = _lengths(lengths)
    with open_asked(memory, cache_size) as stored:
        tokenizer, context_length = stored.tokenizer, stored.config.context_length
        given = inputs or token_ids
        _require_fitting(stored, inputs=inputs, token_ids=token_ids)
        plan = _planned(given, corpus, tokenizer) if given else None
        whole = replace(corpus, include=None, exclude=None, limit=None)  # these flags are the corpus's alone
        plan_unseen = _planned(unseen, whole, tokenizer) if unseen else None
        with reader_for(stored, address, shards) as reader, temporary_directory("memo-evaluate-") as folder:
            memorized: Callable[[], Iterable[pa.Table]] = partial(_batches, stored.kept)
            other = None
            if plan is not None:
                memorized = _kept(plan, folder / "memorized.arrow", tokenizer=tokenizer, context_length=context_length)
            if plan_unseen is not None:
                other = _kept(plan_unseen, folder / "unseen.arrow", tokenizer=tokenizer, context_length=context_length)
            result = evaluate(
                reader,
                memorized,
                tokens=stored.manifest.tokens,
                associations=stored.manifest.associations,
                tokenizer=tokenizer,
                unseen=other,
                sample=sample,
                prompts=prompts,
                lengths=asked,
            )
    if as_json:
        print_json(result.to_dict())
        return
    rows = {
        "next token": f"{_both(result.exact, result.recall)}; the contexts of {result.positions:,} places allow "
        f"{result.ceiling:.4f}",
        "with full context": f"{_both(result.exact_full_context, result.recall_full_context)}; they allow "
        f"{result.ceiling_full_context:.4f}",
    }
    if result.parameters_per_token is not None:
        rows["size"] = (
            f"{result.parameters_per_token:.1f} parameters a token, "
            f"{result.associations_per_parameter:.4f} associations a parameter"
        )
    for length, count in result.verbatim_prompts.items():
        shares = _both(result.verbatim_exact.get(length), result.verbatim.get(length))
        rows[f"verbatim, {length}-token prompts"] = f"{shares} of {count} continued by {CONTINUED} tokens"
    if result.unseen_positions == 0:
        rows["unseen text"] = "holds no whole context that was not memorized; give other text, or more"
    if result.unseen_abstained is not None:
        rows["unseen text"] = f"matrices abstain at {result.unseen_abstained:.4f} of {result.unseen_positions:,} places"
        rows["confidence"] = f"memorized ranks above unseen with probability {result.confidence_auc:.4f}"
    for length, share in result.unseen_answered.items():
        rows[f"unseen text, {length} units"] = f"{share:.4f} answered exactly"
    print_table(f"Evaluation of {memory}", rows)


def _lengths(text: str) -> list[int]:
    try:
        return [int(part) for part in str(text).split(",")]
    except ValueError as error:
        raise ConfigError(f"--lengths is {text!r}; expected whole numbers of tokens, such as 5,8,16,64") from error


def _both(exact: float | None, matrices: float | None) -> str:
    told = [] if exact is None else [f"{exact:.4f} exactly"]
    if matrices is not None:
        told.append(f"{matrices:.4f} from the matrices" if told else f"{matrices:.4f}")
    return ", ".join(told)


def _require_fitting(stored: OpenMemory, *, inputs: list[str] | None, token_ids: list[str] | None) -> None:
    """Refuse text for a memory of bare token ids, token ids for one of text, both, and neither where none are kept.

    Raises:
        ConfigError, InputError: saying which of the two to give.
    """
    bare, kind = stored.tokenizer is None, "--token-ids" if stored.tokenizer is None else "INPUT"
    if inputs and token_ids:
        raise ConfigError("give either INPUT or --token-ids, one of the two")
    if bare and inputs:
        raise InputError(f"{stored.path} is a memory of bare token ids; evaluate it on --token-ids, not on text")
    if not bare and token_ids:
        raise InputError(f"{stored.path} is a memory of text; evaluate it on INPUT, not on --token-ids")
    if not inputs and not token_ids and not len(stored.kept):
        raise ConfigError(f"{stored.path} keeps no tokens to be measured on; give {kind}, what it was built from")


def _batches(kept: KeptBatches) -> Iterable[pa.Table]:
    return map(kept.read, kept.records)


def _planned(inputs: list[str], options: "CorpusOptions", tokenizer: Tokenizer | None) -> "CorpusPlan":
    """The splits of a corpus; without a tokenizer, of one of token ids."""
    from pipelines.plan import plan_corpus, plan_token_ids

    return plan_token_ids(inputs, options)[0] if tokenizer is None else plan_corpus(inputs, options)


def _kept(
    plan: "CorpusPlan", path: Path, *, tokenizer: Tokenizer | None, context_length: int
) -> Callable[[], Iterable[pa.Table]]:
    """Write the batches of a corpus to a file; what comes back reads them again, as often as it is called."""
    from pipelines.batching import stream_batches

    write_batches(stream_batches(plan, tokenizer, context_length), path)
    return partial(read_batches, path)
