"""Tasks of a run: a batch -> its sorted run.

Covers: the Dask graph. Does not cover: batches (pipelines/batching.py), starting tasks (sorted_run.py).
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
from dask.delayed import delayed

from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.runs.run_folder import RunRecord, make_run
from pipelines.release_memory import return_freed_memory


def run_graph(batch: object, encoder: object, *, folder: Path, sign: int, tokenizer_hash: str) -> object:
    """The graph, not yet run, that makes the run of a graph's batch and gives its record.

    Args:
        encoder: of the memory, or what the scheduler turns into it for its tasks (a Ray ObjectRef).
    """
    task = partial(_make_run, folder=str(folder.absolute()), sign=sign, tokenizer_hash=tokenizer_hash)
    return delayed(task, pure=False)(batch, encoder)


def _make_run(batch: pa.Table, encoder: HashedEncoder, *, folder: str, sign: int, tokenizer_hash: str) -> RunRecord:
    record = make_run(batch, Path(folder), encoder=encoder, sign=sign, tokenizer_hash=tokenizer_hash)
    return_freed_memory()
    return record
