"""Forgetting: which reflections a document stands for.

Covers: ids of documents -> ids of reflections drawn from them. Does not cover: taking them out (cluster/change.py).
"""

from pathlib import Path

from memo_dist.files.opened import open_memory
from memo_dist.reflections.layout import docs_told, holds_reflections


def with_reflections(memory: Path, documents: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of documents, each that reflections were drawn from replaced by all of these; of other memories as given.

    A reflection that was drawn from several documents is one of each.

    Raises:
        DamagedMemoryError: the memory is not whole. ConfigError: it is published.
    """
    if not documents:
        return documents
    with open_memory(memory) as opened:
        if not holds_reflections(opened.config):
            return documents
        drawn: dict[str, list[str]] = {one: [] for one in documents}
        for table in opened.require_working().documents():
            names, sources = (table.column(name).to_pylist() for name in ("id", "source"))
            for name, source in zip(names, sources, strict=True):
                for one in docs_told(source):
                    if one in drawn:
                        drawn[one].append(name)
    return tuple(dict.fromkeys(name for one, names in drawn.items() for name in names or [one]))
