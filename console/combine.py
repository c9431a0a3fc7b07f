"""memo-dist merge, rebank: new memories out of memories, without the corpus."""

from pathlib import Path
from typing import Annotated

import typer

from console.flags import Address, AsJson, Budget, ConfigFile, MemoryPath, Scratch, Shards, budget_of
from console.output import print_json, print_table
from memo_dist.files.manifest import Manifest

Out = Annotated[Path, typer.Option(help="The new memory directory.")]


def merge_command(
    memories: Annotated[list[str], typer.Argument(metavar="A.memo B.memo...", help="Memory directories.")],
    out: Out,
    shards: Shards = None,
    address: Address = None,
    memory_budget: Budget = None,
    scratch: Scratch = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Add memories into a new one: the digest is that of one build of everything."""
    from cluster.combine import CombineOptions, merge
    from memo_dist.files.staging import refuse_existing

    refuse_existing(out)
    options = CombineOptions(shards, "cpu", address, budget_of(memory_budget), scratch)
    _report(merge([Path(memory) for memory in memories], out, options), out, "Merged", as_json)


def rebank_command(
    memory: MemoryPath,
    banks: Annotated[int, typer.Option(min=1, help="Number of banks of the new memory.")],
    out: Out,
    shards: Shards = None,
    address: Address = None,
    memory_budget: Budget = None,
    scratch: Scratch = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Give a memory another number of banks, from its ledger: fewer bytes, or better recall."""
    from cluster.combine import CombineOptions, rebank
    from memo_dist.files.staging import refuse_existing

    refuse_existing(out)
    options = CombineOptions(shards, "cpu", address, budget_of(memory_budget), scratch)
    _report(rebank(Path(memory), banks, out, options), out, "Rebanked", as_json)


def _report(manifest: Manifest, out: Path, title: str, as_json: bool) -> None:
    facts = {
        "memory": str(out),
        "digest": manifest.digest,
        "documents": manifest.documents,
        "tokens": manifest.tokens,
        "associations": manifest.associations,
        "banks": manifest.config.num_banks,
    }
    if as_json:
        print_json(facts)
    else:
        print_table(title, {name: f"{value:,}" if isinstance(value, int) else value for name, value in facts.items()})
