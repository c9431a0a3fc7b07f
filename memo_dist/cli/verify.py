"""memo-dist verify: check every byte of a memory."""

from memo_dist.cli.options import AsJson, ConfigFile, MemoryPath
from memo_dist.cli.output import print_json
from memo_dist.stored import StoredMemory


def verify_command(memory: MemoryPath, as_json: AsJson = False, settings: ConfigFile = None) -> None:
    """Check files, banks, ledgers and digest; exit code 2 and the file's name if anything is wrong."""
    with StoredMemory(memory) as stored:
        stored.verify()
        digest, shards = stored.manifest.digest, len(stored.shards)
    if as_json:
        print_json({"ok": True, "digest": digest, "shards": shards})
    else:
        print(f"{memory} is whole: {shards} shards, digest {digest}")
