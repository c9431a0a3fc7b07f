"""memo-dist reflect: draw questions and answers from a corpus."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.endpoint_flags import endpoint_flags
from console.flags import AsJson, ConfigFile, corpus_flags
from console.output import ProgressLine, print_json, print_table
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.extras import extra, require
from memo_dist.reflect.options import ReflectOptions, steps_folder
from pipelines.formats import ENDINGS

if TYPE_CHECKING:
    from pipelines.plan import CorpusOptions


@endpoint_flags
@corpus_flags()
def reflect_command(
    *,
    inputs: Annotated[list[str], typer.Argument(metavar="CORPUS...", help=f"Files, directories or URLs: {ENDINGS}.")],
    out: Annotated[Path, typer.Option(help="The file of reflections, .jsonl; the same command goes on with it.")],
    words: Annotated[int, typer.Option(min=1, help="Words of a document that are asked about at once.")] = 4000,
    overlap: Annotated[int, typer.Option(min=0, help="Words that one such part shares with the next.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="How often each part is asked for its facts.")] = 1,
    skip: Annotated[list[str] | None, typer.Option(help="A step to leave out; may be given again.")] = None,
    endpoint: EndpointOptions,
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Draw questions and answers from documents with a language model, for a memory to learn by heart.

    Five steps: facts that are stated and facts that follow, consolidation, verification, entity surfacing, questions
    across documents. A file of each lies in OUT.steps; what is there is not asked again."""
    options = ReflectOptions(words=words, overlap=overlap, epochs=epochs, skip=tuple(skip or ()))
    require("aiohttp")
    with extra():
        from pipelines.plan import plan_corpus
        from pipelines.whole_texts import whole_texts
    from memo_dist.reflect.reflecting import reflect

    documents = whole_texts(plan_corpus(inputs, corpus))
    with ProgressLine("reflecting", "items") as line:

        def show(step: str, done: int, total: int) -> None:
            line.turn_to(step.replace("_", " "), "items")
            line.update(done / max(total, 1), done)

        done = reflect(documents, out, endpoint=endpoint, options=options, on_progress=show)
    if as_json:
        print_json(asdict(done))
        return
    counts = {step.replace("_", " "): f"{count:,}" for step, count in done.reflections.items()}
    rows = {"documents": f"{done.documents:,}", **counts, "reflections": f"{sum(done.reflections.values()):,}"}
    if done.failed:
        failed = ", ".join(f"{count:,} of {step.replace('_', ' ')}" for step, count in done.failed.items())
        rows["failed"] = f"{failed}; {steps_folder(out)} says why, and the same command asks them again"
    print_table(f"Reflections in {out}", rows)
