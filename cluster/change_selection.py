"""Which documents a change takes: what the inputs hold, beside what the memory holds.

Covers: one pass over the inputs for their documents' records, the choice, where the journal says that a document came
from. Does not cover: the change itself (change.py).
"""

import glob
from itertools import islice
from pathlib import Path

import numpy as np
import ray
from dask.base import compute
from ray.util.dask import ray_dask_get

from cluster.prepare import Prepared
from memo_dist.documents import DocumentRegistry
from memo_dist.errors import InputError
from memo_dist.files.journal import AddEntry, BuildEntry
from memo_dist.files.manifest import Manifest
from pipelines.batching import Selection, delayed_records

_READ_AT_ONCE = 8  # units whose records are under way


def records_of(prepared: Prepared, base: Manifest) -> DocumentRegistry:
    """What the inputs hold of which documents, from one pass over them."""
    registry = DocumentRegistry()
    tokenizer = ray.put(prepared.choice.tokenizer)
    graphs = delayed_records(prepared.corpus.units, prepared.corpus.options, tokenizer=tokenizer, config=base.config)
    while under_way := list(islice(graphs, _READ_AT_ONCE)):
        for rows in compute(*under_way, scheduler=ray_dask_get):
            for key, record in DocumentRegistry.from_array(rows).items():
                registry.add(key, record)
    return registry


def select(action: str, records: DocumentRegistry, *, held: np.ndarray, named: dict[int, str]) -> tuple[Selection, int]:
    """The documents to take, and how many are left as they are.

    Raises:
        InputError: a named document is held, and the inputs do not have it.
    """
    known = DocumentRegistry.from_array(held)
    gone = [name for key, name in named.items() if known.get(key) and not records.get(key)]
    if gone:
        raise InputError(
            f"{', '.join(gone)} is held, but no longer where it was looked for; give INPUT, its text (and --text-key, "
            "--id-key and --errors as when it was memorized)"
        )
    taken, left = [], 0
    for key, record in records.items():
        if named and key not in named:
            continue
        fits = known.get(key) is None if action == "add" else known.get(key) == record
        left += not fits
        if fits:
            taken.append(key)
    left += sum(records.get(key) is None for key in named)
    return Selection(np.array(sorted(taken), np.uint64), inside=True), left


def sources_of(memory: Path, manifest: Manifest, documents: tuple[str, ...]) -> list[str]:
    """Where the journal says that documents may have come from.

    A document that is a file is read from the file of that name; rows are looked for in everything that was memorized.

    Raises:
        InputError: the journal names nothing, or nothing that is still there.
    """
    if not documents:
        return []
    if manifest.tokenizer_hash and all(Path(document).is_file() for document in documents):
        return list(documents)
    named = [name for entry in manifest.sources if isinstance(entry, BuildEntry | AddEntry) for name in entry.inputs]
    there = [
        name for name in dict.fromkeys(named) if "://" in name or Path(name).exists() or glob.glob(name, recursive=True)
    ]
    if not there:
        what = f"is gone ({', '.join(dict.fromkeys(named))})" if named else "is not in its journal"
        raise InputError(f"what {memory} was made from {what}; give INPUT, the text of {', '.join(documents)}")
    return there
