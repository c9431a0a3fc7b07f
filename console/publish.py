"""memo-dist publish: a small memory for recall only."""

from pathlib import Path
from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile, MemoryPath
from console.inspect import predicted_recall
from console.output import ProgressLine, print_json, print_table
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.models.text.bit_planes import PUBLISHED_BITS
from memo_dist.sizes import show_bytes


def publish_command(
    memory: MemoryPath,
    out: Annotated[Path, typer.Option(help="The new directory.")],
    bits: Annotated[int, typer.Option(help=f"Of a cell: {', '.join(map(str, PUBLISHED_BITS))}.")] = 1,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Make a small memory for recall only: no ledger, cells in a few bits, files that are mapped."""
    with ProgressLine("publishing", "banks") as line:

        def on_bank(done: int, banks: int) -> None:
            line.update(done / banks, done)

        manifest = publish(Path(memory), out, bits, on_bank=on_bank)
    with open_memory(out) as published:
        size = published.bytes_on_disk
    facts = {
        "memory": str(out),
        "bits": bits,
        "digest": manifest.digest,
        "bytes_on_disk": size,
        "bytes_per_token": size / max(manifest.tokens, 1),
        "predicted_recall": predicted_recall(manifest),
    }
    if as_json:
        print_json(facts)
        return
    shown = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in facts.items()}
    print_table("Published", {**shown, "bytes_on_disk": show_bytes(size)})
