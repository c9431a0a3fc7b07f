"""memo-dist inspect: what a memory holds."""

import sys
from typing import Any

from console.flags import AsJson, ConfigFile, MemoryPath
from console.output import print_json, print_table
from memo_dist.errors import MissingExtraError
from memo_dist.files.manifest import Manifest
from memo_dist.files.published import open_memory
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
        "sources": manifest.sources,
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
    print_table(
        "Journal", {f"{n}. {one.get('when', '')}": _told(one) for n, one in enumerate(manifest.sources, start=1)}
    )


def predicted_recall(manifest: Manifest) -> float | None:
    """By the capacity law; None, with a remark on stderr, where SciPy is not installed."""
    try:
        return recall_of(manifest)
    except MissingExtraError as error:
        print(f"memo-dist: no predicted_recall: {error}", file=sys.stderr)
        return None


def _told(entry: dict[str, Any]) -> str:
    """An entry of the journal in words: what was done, from where, how much."""
    told = str(entry.get("action", "?"))
    names = [str(name) for name in [*entry.get("inputs", []), *entry.get("memories", [])]]
    if names:
        told += f" {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    left = [f"{entry[name]:,} {name}" for name in ("files", "skipped", "replaced", "empty") if entry.get(name)]
    if "bits" in entry:
        left.append(f"at {entry['bits']} bits from {entry.get('memory')}")
    return told + (f" ({', '.join(left)})" if left else "")
