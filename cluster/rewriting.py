"""Rewriting: kept batches out of which documents were taken, without being written, are written after all.

Covers: those of a memory whose files are written anew. Does not cover: one batch (pipelines/keeping.py), what was taken
(memo_dist/files/taken_places.py).
"""

from itertools import islice

from cluster.executor import Executor
from cluster.work import KeptList, keeping_in
from cluster.workspace import Workspace
from memo_dist.batches import KeptChange
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.memory_config import MemoryConfig
from pipelines.keeping import delayed_rewritten

_AT_ONCE = 8  # batches under way


def write_anew(kept: KeptList, workspace: Workspace, *, config: MemoryConfig, executor: Executor) -> None:
    """Write those of a changed memory's kept batches that lists name documents of, and note it in `kept`.

    Raises:
        DamagedMemoryError: a batch cannot be read. StorageError: one cannot be written.
    """
    listed = [record for record in kept.records if record.taken]
    before = keeping_in(workspace.out / BATCHES_FOLDER, config)
    graphs = delayed_rewritten(listed, before=before, after=keeping_in(workspace.batches, config))
    while under_way := list(islice(graphs, _AT_ONCE)):
        changes: list[KeptChange] = executor.gather(under_way)
        for change in changes:
            kept.change(change)
