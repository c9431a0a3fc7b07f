"""memo-dist inspect: what a memory holds."""

import sys

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_table
from memo_dist.errors import MissingExtraError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.planning.capacity import recall_of
from memo_dist.sizes import show_bytes


def inspect_command(memory: MemoryPath, as_json: AsJson = False, settings: ConfigFile = None) -> None:
    """Show what a memory holds: size, load, digest, sources."""
    with open_memory(memory) as stored:
        _ = stored.tokenizer  # refuses one that does not belong to the memory
        manifest, config, size = stored.manifest, stored.config, stored.bytes_on_disk
    a_bank = manifest.associations / config.num_banks
    facts = {
        "digest": manifest.digest,
        "tokens": manifest.tokens,
        "documents": manifest.documents,
        "associations": manifest.associations,
        "banks": config.num_banks,
        "inner_dim": config.inner_dim,
        "windows": list(config.windows),
        "vocab_size": config.vocab_size,
        "seed": config.seed,
        "preset": config.preset,
        **config.own_settings,
        **({"published_bits": manifest.bits} if manifest.bits else {}),
        "tokenizer": manifest.tokenizer_hash,
        "shards": len(manifest.shards),
        "bytes_on_disk": size,
        "parameters": config.num_parameters,
        "parameters_per_token": config.num_parameters / max(manifest.tokens, 1),
        "load": manifest.associations / config.num_parameters,
        "associations_per_bank": a_bank,
        "predicted_recall": predicted_recall(manifest),
        "sources": [entry.to_dict() for entry in manifest.sources],
    }
    if as_json:
        print_json(facts)
        return
    shown = {
        name: f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value
        for name, value in facts.items()
    }
    shown["bytes_on_disk"] = show_bytes(size)
    del shown["sources"]
    print_table(str(memory), shown)
    journal = enumerate(manifest.sources, start=1)
    print_table("Journal", {f"{number}. {entry.when}": entry.told() for number, entry in journal})


def predicted_recall(manifest: Manifest) -> float | None:
    """By the capacity law; None, with a remark on stderr, where SciPy is not installed."""
    try:
        return recall_of(manifest)
    except MissingExtraError as error:
        print(f"memo-dist: no predicted_recall: {error}", file=sys.stderr)
        return None
