"""memo-dist publish: a small memory for recall only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.flags import AsJson, ConfigFile, MemoryPath, WorkDirectory, corpus_flags, resource_flags, windows_of
from console.inspect import predicted_recall
from console.output import ProgressLine, print_json, print_table
from memo_dist.errors import ConfigError
from memo_dist.extras import extra
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.models.text.bit_planes import PUBLISHED_BITS
from memo_dist.remote.address import address_in
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from cluster.publish import PublishOptions, PublishProgress
    from cluster.resources import Resources
    from cluster.run_state import Progress
    from pipelines.plan import CorpusOptions

FORMS = ("solved", "sums")
_ANCHORS = {"8": 8, "16": 16, "none": 0}


@resource_flags("address", "memory_budget", "log_file")
@corpus_flags()
def publish_command(
    *,
    memory: MemoryPath,
    out: Annotated[str, typer.Option(help="The new memory: a directory, or s3://bucket/P.memo.")],
    form: Annotated[
        str, typer.Option(help="solved: exact, about 3 bytes a token; sums: the matrices in a few bits.")
    ] = FORMS[0],
    windows: Annotated[
        str | None, typer.Option(help="solved: the ladder of windows, in units, such as 4,6,8,12,16,24,32,64.")
    ] = None,
    check_bits: Annotated[
        int | None, typer.Option(help="solved: what is not held passes for held once in 2 to this; 8 unless given.")
    ] = None,
    anchors: Annotated[
        str | None, typer.Option(help="solved: one passage in 8, or in 16, names its document; none: none does.")
    ] = None,
    files: Annotated[
        int | None, typer.Option(min=1, help="solved: files, at least; bank servers divide whole files among them.")
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            help="solved, of a memory that keeps no tokens: what it was built from; may be given again. The flags that "
            "say how texts are read belong to it.",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(help=f"sums: of a cell: {', '.join(map(str, PUBLISHED_BITS))}; 1 unless given."),
    ] = None,
    target_recall: Annotated[
        float | None,
        typer.Option(
            help="sums: next-token recall that banks are chosen for, of what the text allows; .99 unless given."
        ),
    ] = None,
    banks: Annotated[int | None, typer.Option(min=1, help="sums: number of banks; else from --target-recall.")] = None,
    work: WorkDirectory = None,
    resources: "Resources",
    corpus: "CorpusOptions",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Make a small memory for recall only, in files that are mapped; it cannot be changed.

    Solved (the default): every window that is needed reads its next token exactly; made from the tokens that the memory
    keeps, or of --corpus. A stopped command goes on when it is given again. Sums: the correlation matrices, without the
    ledger, in as many banks as --target-recall takes at so few bits."""
    if form not in FORMS:
        raise ConfigError(f"--form is {form!r}; expected one of {', '.join(FORMS)}")
    others = (
        {"--bits": bits, "--target-recall": target_recall, "--banks": banks}
        if form == "solved"
        else {"--windows": windows, "--check-bits": check_bits, "--anchors": anchors, "--corpus": texts or None}
        | {"--files": files}
    )
    if wrong := [name for name, value in others.items() if value is not None]:
        raise ConfigError(f"{wrong[0]} does not belong to --form {form}; leave it out, or give the other form")
    of_sums = _given({"bits": bits, "target_recall": target_recall, "banks": banks})
    of_solved = _given(
        {"windows": windows_of(windows), "check_bits": check_bits, "anchors": _anchors(anchors), "files": files}
    )

    def made(place: Path) -> Manifest:
        if form == "sums":
            return _sums(Path(memory), place, resources=resources, asked=of_sums)
        with extra():
            from cluster.publish import PublishOptions

        options = PublishOptions(resources=resources, **of_solved)
        return _solved(Path(memory), place, options, texts=texts or [], corpus=corpus)

    address = address_in(out)
    if address is None:
        _report(out, made(Path(out)), form, as_json=as_json)
        return
    from cluster.stored_output import StoredOutput

    given = {**of_sums, **of_solved, "texts": texts or []}
    statement = {"command": "publish", "memory": memory, "digest": Manifest.read(Path(memory)).digest, "form": form}
    output = StoredOutput(address, work, {**statement, "settings": given})
    if not output.is_made:
        with output.making():
            made(output.local)
    facts = published_facts(output.local, Manifest.read(output.local), form)
    with ProgressLine("uploading", "bytes") as line:
        output.commit(line.uploading)
    output.leave()
    _tell({**facts, "memory": out}, as_json=as_json)


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given; others have their defaults."""
    return {name: value for name, value in asked.items() if value is not None}


def _anchors(text: str | None) -> int | None:
    if text is not None and text not in _ANCHORS:
        raise ConfigError(f"--anchors is {text!r}; expected one of {', '.join(_ANCHORS)}")
    return None if text is None else _ANCHORS[text]


def _sums(memory: Path, out: Path, *, resources: "Resources", asked: dict[str, Any]) -> Manifest:
    with extra():
        from cluster.publish_sums import SumsOptions, publish_sums

    with ProgressLine("publishing", "banks") as line:

        def on_bank(done: int, banks: int) -> None:
            line.update(done / banks, done)

        return publish_sums(memory, out, SumsOptions(resources=resources, **asked), on_bank=on_bank)


def _solved(
    memory: Path, out: Path, options: "PublishOptions", *, texts: list[str], corpus: "CorpusOptions"
) -> Manifest:
    from cluster.publish import publish_solved
    from cluster.publish_corpus import publish_from_corpus

    with ProgressLine("memorizing" if texts else "publishing", "tokens" if texts else "steps") as line:

        def on_reading(progress: "Progress") -> None:
            if progress.files:
                line.merging(progress.files_done, progress.files)
            else:
                line.update(progress.splits_done / progress.splits, progress.tokens)

        def on_progress(progress: "PublishProgress") -> None:
            line.turn_to("publishing", "steps")
            line.update(progress.share, progress.steps)

        if not texts:
            return publish_solved(memory, out, options, on_progress=on_progress)
        return publish_from_corpus(
            memory, texts, out, options=options, corpus=corpus, on_reading=on_reading, on_progress=on_progress
        )


def _report(out: str, manifest: Manifest, form: str, *, as_json: bool) -> None:
    _tell(published_facts(Path(out), manifest, form), as_json=as_json)


def _tell(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_published(facts)


def published_facts(out: Path, manifest: Manifest, form: str = FORMS[0]) -> dict[str, Any]:
    """What --json tells of a published memory."""
    with open_memory(out) as published:
        size = published.bytes_on_disk
    return facts_published(str(out), manifest, form, size=size)


def facts_published(out: str, manifest: Manifest, form: str = FORMS[0], *, size: int) -> dict[str, Any]:
    """The same of one that is in a store, whose files take `size` bytes."""
    facts: dict[str, Any] = {"memory": out, "form": form, "digest": manifest.digest}
    if manifest.solved is None:
        facts["bits"] = manifest.bits
    else:
        facts["windows"] = sum(manifest.solved.windows)
        facts["tables_per_token"] = sum(file.bytes for file in manifest.solved.files) / max(manifest.tokens, 1)
    facts["bytes_on_disk"], facts["bytes_per_token"] = size, size / max(manifest.tokens, 1)
    if manifest.solved is None:
        facts["predicted_recall"] = predicted_recall(manifest)
    return facts


def print_published(facts: dict[str, Any]) -> None:
    """The same as a table."""
    shown = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in facts.items()}
    print_table("Published", {**shown, "bytes_on_disk": show_bytes(facts["bytes_on_disk"])})
