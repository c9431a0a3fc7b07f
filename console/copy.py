"""memo-dist copy: a memory to an object store, or from one."""

from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile
from console.output import ProgressLine, print_json
from memo_dist.remote.copying import copy_memory


def copy_command(
    memory: Annotated[str, typer.Argument(metavar="FROM", help="A memory directory, or s3://bucket/M.memo.")],
    out: Annotated[str, typer.Option(help="Where to: s3://bucket/M.memo, or a new directory.")],
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Copy a memory to an object store, or from one to a directory; every byte is checked on the way."""
    with ProgressLine("copying", "bytes") as line:
        manifest = copy_memory(memory, out, on_copy=lambda done, total: line.update(done / max(total, 1), done))
    if as_json:
        print_json({"memory": out, "digest": manifest.digest})
    else:
        print(f"{out} is a whole copy, digest {manifest.digest}")
