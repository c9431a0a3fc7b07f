"""memo-dist verify: check every byte of a memory."""

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json
from memo_dist.files.generations import verify_previous
from memo_dist.files.opened import open_memory


def verify_command(memory: MemoryPath, as_json: AsJson = False, settings: ConfigFile = None) -> None:
    """Check every byte, also of the generation that undo goes back to; exit code 2 and the name of a bad file."""
    with open_memory(memory) as stored:
        stored.verify()
        verify_previous(stored.path)
        digest, solved = stored.manifest.digest, stored.manifest.solved
        what = "shards" if solved is None else "files of tables"
        shards = len(stored.manifest.shards) if solved is None else solved.num_files
    if as_json:
        print_json({"ok": True, "digest": digest, "shards": shards})
    else:
        print(f"{memory} is whole: {shards} {what}, digest {digest}")
