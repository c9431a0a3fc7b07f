"""About: what an opened memory says of itself: its size, its load, its journal, how much more it would hold.

Covers: facts, the curve of the capacity law. Does not cover: the law (planning/capacity.py), tables and pages that show
this.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from memo_dist.errors import MissingExtraError
from memo_dist.files.journal import Entry, PublishEntry
from memo_dist.files.manifest import Manifest, SolvedRecord
from memo_dist.files.opened import OpenMemory
from memo_dist.planning.capacity import lengths_of, recall_at, recall_of

_SIZES = np.geomspace(0.1, 10, 9)  # of a curve, relative to what is held


@dataclass(frozen=True)
class About:
    """One memory, as it is shown to people.

    Attributes:
        facts: for JSON; of what `memo-dist inspect` shows, that which names no path.
        capacity: gives `capacity_of`, in seconds rather than milliseconds.
    """

    facts: dict[str, Any]
    capacity: Callable[[], dict[str, Any]]


def about(memory: OpenMemory) -> About:
    """What may be told of a memory to anybody who may ask it."""
    manifest = memory.manifest
    facts = {
        "form": form_of(manifest),
        **facts_of(manifest, memory.bytes_on_disk),
        "journal": [_told(entry) for entry in manifest.sources],
    }
    return About(facts, lambda: capacity_of(manifest))


class AboutNow:
    """What may be told of a memory as it is now.

    Args:
        memory: gives it, the same object until it has changed.
    """

    def __init__(self, memory: Callable[[], OpenMemory]) -> None:
        self._memory, self._known = memory, memory()
        self._told = about(self._known)

    def __call__(self) -> About:
        """The same object until the memory has changed."""
        memory = self._memory()
        if memory is not self._known:
            self._told, self._known = about(memory), memory
        return self._told


def form_of(manifest: Manifest) -> str:
    """ "working", which can be changed, or how it is published: "sums" or "solved"."""
    return "solved" if manifest.solved is not None else "sums" if manifest.bits else "working"


def facts_of(manifest: Manifest, size: int) -> dict[str, Any]:
    """Figures of a memory of any form.

    Args:
        size: bytes of its directory.
    """
    if manifest.solved is not None:
        return _facts_solved(manifest, manifest.solved, size)
    config = manifest.config
    return {
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
        **({"segments": len(manifest.segments)} if manifest.segments else {}),
        "bytes_on_disk": size,
        "keeps_tokens": manifest.keeps_tokens,
        "kept_batches": len(manifest.batches),
        "kept_bytes": sum(batch.bytes for batch in manifest.batches),
        "parameters": config.num_parameters,
        "parameters_per_token": config.num_parameters / max(manifest.tokens, 1),
        "load": manifest.associations / config.num_parameters,
        "associations_per_bank": manifest.associations / config.num_banks,
    }


def _facts_solved(manifest: Manifest, solved: SolvedRecord, size: int) -> dict[str, Any]:
    config, tokens = manifest.config, max(manifest.tokens, 1)
    return {
        "digest": manifest.digest,
        "published": "solved",
        "tokens": manifest.tokens,
        "documents": manifest.documents,
        "windows": list(config.windows),
        "windows_held": solved.windows,
        "windows_per_token": sum(solved.windows) / tokens,
        "check_bits": solved.check_bits,
        "anchors": solved.anchors,
        "vocab_size": config.vocab_size,
        "seed": config.seed,
        **config.own_settings,
        "tokenizer": manifest.tokenizer_hash,
        "files": solved.num_files,
        "bytes_on_disk": size,
        "tables_per_token": sum(file.bytes for file in solved.files) / tokens,
    }


def capacity_of(manifest: Manifest) -> dict[str, Any]:
    """What the capacity law says of a memory, for a plot.

    Returns:
        curve: recall from its matrices if it held so many tokens of the same text. now: the same, of what it holds.
        answered: how often the next token is right after a prompt that fills each window. All are empty of a solved
        memory, which holds what it was made of and no more, and where the law needs SciPy, which is not installed.
    """
    nothing: dict[str, Any] = {"curve": [], "now": None, "answered": []}
    if manifest.solved is not None or not manifest.tokens:
        return nothing
    try:
        now = {"tokens": manifest.tokens, "recall": recall_of(manifest)}
        answered = [asdict(one) for one in lengths_of(manifest)]
        sizes = [(round(manifest.tokens * share), share) for share in _SIZES.tolist()]
        curve = [{"tokens": tokens, "recall": recall_at(manifest, share)} for tokens, share in sizes]
    except MissingExtraError:
        return nothing
    return {"curve": curve, "now": now, "answered": answered}


def _told(entry: Entry) -> dict[str, Any]:
    """An entry of the journal, its inputs by their last names: where they lay is nobody's business."""
    named = [entry.memory] if isinstance(entry, PublishEntry) else entry.inputs_named
    names = [name.partition("?")[0].rstrip("/").rpartition("/")[2] for name in named]
    counts = {name: getattr(entry, name, 0) for name in ("files", "skipped", "replaced", "empty")}
    return {"action": entry.action, "when": entry.when, "inputs": names} | {n: c for n, c in counts.items() if c}
