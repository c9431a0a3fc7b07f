"""Counting: how many associations sources hold, and how many banks these need.

Covers: tasks that count, the choice. Does not cover: the capacity law (models/text/capacity.py), what is done with it
(sorted_run.py, combine.py).
"""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from dask.delayed import delayed

from cluster.executor import Executor
from cluster.merge_actor import Sources
from memo_dist.files.opened import open_memory
from memo_dist.memory_config import MAX_BANKS
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.config import TextConfig
from memo_dist.runs.merging import HeldSource, Source, count_rows
from memo_dist.runs.run_folder import run_folders
from pipelines.release_memory import return_freed_memory

_ALL_TOKENS = 1 << 18  # of a memory all of whose associations are counted; of a larger one a share
_SHARE = 16
_PIECES, _PIECE_ROWS = 4, 1 << 20  # counted at a time: what making a run takes


def count_associations(sources: Sources, executor: Executor, *, tokens: int, rows: int) -> float:
    """How many distinct associations sources hold: counted, for larger memories in a sixteenth of all names.

    Names are spread evenly, so that a share of them is good to .3%, and the share follows from the tokens alone, so
    that every way to build a memory counts the same.

    Args:
        tokens: of the memory. rows: of all sources.
    """
    share = 1.0 if tokens <= _ALL_TOKENS else 1 / _SHARE
    return float(sum(executor.gather(list(_graphs(sources, share, rows))))) / share


def _graphs(sources: Sources, share: float, rows: int) -> Iterator[object]:
    pieces = max(_PIECES, -(-int(rows * share) // _PIECE_ROWS))
    edges = [int(share * 2**64) * piece // pieces for piece in range(pieces + 1)]
    for low, high in itertools.pairwise(edges):
        yield delayed(partial(_count, sources, low, high), pure=False)()


def _count(asked: Sources, low: int, high: int) -> int:
    with ExitStack() as opened:
        memories = [opened.enter_context(open_memory(memory)) for memory in asked.memories]
        sources: list[Source] = [HeldSource(memory) for memory in memories]
        if asked.runs is not None:
            sources += run_folders(Path(asked.runs))
        found = count_rows(sources, low, high)
    return_freed_memory()
    return found


def banks_at_load(config: TextConfig, associations: float, load: float) -> TextConfig:
    """As many banks as keep the load of a plan, which a sample gave the number of associations."""
    return replace(config, num_banks=min(MAX_BANKS, max(1, round(associations / load))))


def banks_for(config: TextConfig, associations: float, target_recall: float, *, text: TextSize) -> TextConfig:
    """As many banks as the capacity law says that a recall needs; no fewer than there are.

    Args:
        associations: distinct ones, counted. text: of the whole memory.
    """
    sized = model_of(config).sized(config, target_recall, text, associations=associations)
    return replace(config, num_banks=max(config.num_banks, sized.num_banks))
