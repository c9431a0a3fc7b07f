"""memo-dist merge, rebank: new memories out of memories, without the corpus."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.flags import AsJson, ConfigFile, MemoryPath, resource_flags
from console.inspect import warn_of_overload
from console.output import print_json, print_table, show_fact
from memo_dist.planning.capacity import lengths_told

if TYPE_CHECKING:
    from cluster.combine import CombineSummary
    from cluster.resources import Resources

_FLAGS = ("shards", "address", "memory_budget", "log_file")  # banks are added on the CPU
Out = Annotated[Path, typer.Option(help="The new memory directory.")]


@resource_flags(*_FLAGS, device="cpu")
def merge_command(
    *,
    memories: Annotated[list[str], typer.Argument(metavar="A.memo B.memo...", help="Memory directories.")],
    out: Out,
    resources: "Resources",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Add memories into a new one: the digest is that of one build of everything."""
    from cluster.combine import CombineOptions, merge
    from memo_dist.files.staging import refuse_existing

    refuse_existing(out)
    options = CombineOptions(resources=resources)
    _report(merge([Path(memory) for memory in memories], out, options), as_json, title="Merged")


@resource_flags(*_FLAGS, device="cpu")
def rebank_command(
    *,
    memory: MemoryPath,
    banks: Annotated[int, typer.Option(min=1, help="Number of banks of the new memory.")],
    out: Out,
    resources: "Resources",
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Give a memory another number of banks, from its ledger: fewer bytes, or better recall."""
    from cluster.combine import CombineOptions, rebank
    from memo_dist.files.staging import refuse_existing

    refuse_existing(out)
    options = CombineOptions(resources=resources)
    _report(rebank(Path(memory), banks, out, options=options), as_json, title="Rebanked")


def _report(summary: "CombineSummary", as_json: bool, *, title: str) -> None:
    facts = asdict(summary)
    bare = facts["without_tokens"]
    if title == "Merged" and bare:
        print(f"memo-dist: the new memory keeps no tokens: {', '.join(bare)} had none", file=sys.stderr)
    warn_of_overload(summary.memory)
    if as_json:
        print_json(facts)
    else:
        shown = {name: show_fact(facts[name]) for name in facts if name not in ("without_tokens", "answered")}
        prompts = {"prompts": lengths_told(summary.answered)} if summary.answered else {}
        print_table(title, {**shown, **prompts})
