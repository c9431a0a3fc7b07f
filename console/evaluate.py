"""memo-dist evaluate: next-token recall, its ceiling, verbatim continuation, confidence on unseen text."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from console.flags import (
    Address,
    AsJson,
    ConfigFile,
    Errors,
    Exclude,
    IdKey,
    Include,
    Limit,
    MemoryPath,
    OptionalInputs,
    TextKey,
)
from console.output import print_json, print_table
from console.recall import reader_for
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.batch_file import read_batches, temporary_directory, write_batches
from memo_dist.files.opened import open_memory
from memo_dist.measuring.evaluation import evaluate


def evaluate_command(
    memory: MemoryPath,
    inputs: OptionalInputs = None,
    token_ids: Annotated[
        list[str] | None, typer.Option(help="Instead of INPUT, as for build, for a memory of bare token ids.")
    ] = None,
    unseen: Annotated[list[str] | None, typer.Option(help="Text that was not memorized; may be given again.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Positions to ask.")] = 5000,
    prompts: Annotated[int, typer.Option(min=0, help="Prompts of each length to continue by 50 tokens.")] = 200,
    shards: Annotated[int | None, typer.Option(min=1, help="Load the memory into this many Ray actors.")] = None,
    address: Address = None,
    text_key: TextKey = "text",
    id_key: IdKey = "id",
    include: Include = None,
    exclude: Exclude = None,
    errors: Errors = "strict",
    limit: Limit = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Measure a memory on the corpus it was built from; give the same corpus flags as to build. Tokens are kept in the
    system's directory for temporary files meanwhile, 4 bytes each."""
    from pipelines.batching import stream_batches
    from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids

    options = CorpusOptions(
        include=include, exclude=exclude, errors=errors, text_key=text_key, id_key=id_key, limit=limit
    )
    with open_memory(memory) as stored:
        tokenizer = stored.tokenizer
        if bool(inputs) == bool(token_ids):
            raise ConfigError("give either INPUT or --token-ids, one of the two")
        if tokenizer is None and not token_ids:
            raise InputError(f"{memory} is a memory of bare token ids; evaluate it on --token-ids, not on text")
        if tokenizer is not None and token_ids:
            raise InputError(f"{memory} is a memory of text; evaluate it on INPUT, not on --token-ids")
        length = stored.config.context_length

        def planned(names: list[str], chosen: CorpusOptions) -> CorpusPlan:
            return plan_token_ids(names, chosen)[0] if token_ids else plan_corpus(names, chosen)

        def kept(plan: CorpusPlan, path: Path) -> Callable[[], Iterable[pa.Table]]:
            write_batches(stream_batches(plan, tokenizer, length), path)
            return partial(read_batches, path)

        corpus = planned(inputs or token_ids or [], options)
        new = planned(unseen, CorpusOptions(errors=errors, text_key=text_key, id_key=id_key)) if unseen else None
        with reader_for(stored, address, shards) as reader, temporary_directory("memo-evaluate-") as folder:
            memorized = kept(corpus, folder / "memorized.arrow")
            other = None if new is None else kept(new, folder / "unseen.arrow")
            result = evaluate(
                reader,
                memorized,
                tokens=stored.manifest.tokens,
                associations=stored.manifest.associations,
                unseen=other,
                sample=sample,
                prompts=prompts,
            )
    if as_json:
        print_json(result.to_dict())
        return
    rows = {
        "recall": f"{result.recall:.4f} of {result.positions:,} next tokens; the contexts allow {result.ceiling:.4f}",
        "with full context": f"{result.recall_full_context:.4f}",
        "size": f"{result.parameters_per_token:.1f} parameters a token, "
        f"{result.associations_per_parameter:.4f} associations a parameter",
    }
    for length, share in result.verbatim.items():
        rows[f"verbatim, {length}-token prompts"] = (
            f"{share:.3f} of {result.verbatim_prompts[length]} continued by 50 tokens"
        )
    if result.unseen_positions == 0:
        rows["unseen text"] = "holds no whole context that was not memorized; give other text, or more"
    if result.unseen_abstained is not None:
        rows["unseen text"] = f"abstains at {result.unseen_abstained:.4f} of {result.unseen_positions:,} positions"
        rows["confidence"] = f"memorized ranks above unseen with probability {result.confidence_auc:.4f}"
    print_table(f"Evaluation of {memory}", rows)
