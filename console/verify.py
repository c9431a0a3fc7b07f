"""memo-dist verify: check every byte of a memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.flags import Address, AsJson, AskedMemory, ConfigFile
from console.opening import open_asked
from console.output import ProgressLine, print_json
from memo_dist.extras import extra
from memo_dist.files.generations import verify_previous
from memo_dist.files.manifest import Manifest
from memo_dist.ranges.verifying import verify_by_range
from memo_dist.remote.address import is_address


def verify_command(
    memory: AskedMemory, address: Address = None, as_json: AsJson = False, settings: ConfigFile = None
) -> None:
    """Check every byte, also of the generation that undo goes back to; exit code 2 and the name of a bad file."""
    if is_address(memory) and address is None:
        manifest = _in_store(memory)
    else:
        manifest = verify_by_range(Path(memory)) if address is None else _on_cluster(Path(memory), address)
        verify_previous(Path(memory))
    solved = manifest.solved
    what = "shards" if solved is None else "files of tables"
    shards = len(manifest.shards) if solved is None else solved.num_files
    if as_json:
        print_json({"ok": True, "digest": manifest.digest, "shards": shards})
    else:
        print(f"{memory} is whole: {shards} {what}, digest {manifest.digest}")


def _in_store(memory: str) -> Manifest:
    """Each object, read from one end to the other."""
    with open_asked(memory) as stored:
        stored.verify()
        return stored.manifest


def _on_cluster(memory: Path, address: str) -> Manifest:
    """Each file where there is room; all nodes must see the memory."""
    with extra():
        from cluster.by_file import each_file
        from cluster.resources import Resources

    with ProgressLine("checking", "files") as line:

        def each(task: Callable[[int], Any], count: int) -> list[Any]:
            resources = Resources(address=address)
            return each_file(task, count, resources=resources, on_done=lambda done: line.update(done / count, done))

        return verify_by_range(memory, each=each)
