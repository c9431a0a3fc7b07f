"""Memories that can be merged: what they must have in common, and what they are together.

Covers: refusing those that differ, the sum of manifests. Does not cover: merging them (combine.py).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.models import model_of
from memo_dist.tokenizer import Tokenizer


def alike(memories: list[Path]) -> tuple[list[Manifest], Tokenizer | None]:
    """Manifests and tokenizer of memories that can be merged.

    Raises:
        ConfigError: they differ in shape, seed or tokenizer, or hold documents of the same id.
    """
    manifests, documents = [], []
    for memory in memories:
        with open_memory(memory) as stored:
            documents.append(np.unique(stored.require_working().identities()["key"]))
            tokenizer = stored.tokenizer
            manifests.append(stored.manifest)
    first = _shape(manifests[0])
    for memory, manifest in zip(memories[1:], manifests[1:], strict=True):
        other = _shape(manifest)
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                like = f"build --tokenizer {memories[0] / TOKENIZER_FILE}"
                raise ConfigError(
                    f"{memories[0]} and {memory} cannot be merged: {name} is {first.get(name)} in the first and "
                    f"{other.get(name)} in the second. Memories that are to be merged are built with one tokenizer: "
                    f"{like}"
                )
    every = np.concatenate(documents)
    if repeated := len(every) - len(np.unique(every)):
        raise ConfigError(
            f"{' and '.join(map(str, memories))} hold {repeated} documents of the same id, which would count twice; "
            "forget them in one of the two first"
        )
    return manifests, tokenizer


def _shape(manifest: Manifest) -> dict[str, object]:
    """What two memories must have in common: names in a ledger do not depend on its number of banks."""
    shape = {**manifest.config.to_dict(), "tokenizer": manifest.tokenizer_hash}
    if model_of(manifest.config).has_ledger:
        del shape["num_banks"]
    return shape


def summed(manifests: list[Manifest]) -> Manifest:
    """What the manifest of all of them together says, with as many banks as the largest has."""
    most = max(manifest.config.num_banks for manifest in manifests)
    return replace(
        manifests[0],
        config=replace(manifests[0].config, num_banks=most),
        tokens=sum(m.tokens for m in manifests),
        documents=sum(m.documents for m in manifests),
        associations=sum(m.associations for m in manifests),
        sources=[entry for m in manifests for entry in m.sources],
        keeps_tokens=all(m.keeps_tokens for m in manifests),
        segments=[],
        batches=[batch for m in manifests for batch in m.batches] if all(m.keeps_tokens for m in manifests) else [],
    )
