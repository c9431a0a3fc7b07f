"""ContaminationActor: verdicts on items, in a Ray process that opens the memory itself.

Covers: one chunk of items -> rows of a table. Does not cover: the job (contamination_job.py), verdicts
(memo_dist/recalling/contamination.py).
"""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from memo_dist.files.opened import open_memory
from memo_dist.recalling.contamination import Thresholds, judged_items
from memo_dist.recalling.items import Item
from memo_dist.recalling.lookup import Lookup
from memo_dist.tokenizer import Tokenizer

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("verdict", pa.string()),
        ("units", pa.int64()),
        ("tokens", pa.int64()),
        ("text", pa.string()),
        ("share", pa.float64()),
        ("near_share", pa.float64()),
        ("near_text", pa.string()),
        ("differing", pa.int64()),
        ("differences", pa.list_(pa.struct([("typed", pa.string()), ("held", pa.string())]))),
        ("documents", pa.list_(pa.string())),
        ("num_documents", pa.int64()),
        ("several", pa.bool_()),
    ]
)


class ContaminationActor:
    """Judges chunks of items by a memory directory that it opens itself.

    Args:
        path: of the memory; its node must see it.
    """

    def __init__(self, path: str, thresholds: Thresholds) -> None:
        threadpool_limits(1)
        memory = open_memory(path)
        tokenizer = memory.tokenizer
        assert tokenizer is not None  # the job has asked
        self._lookup, self._tokenizer, self._thresholds = Lookup(memory), tokenizer, thresholds

    def answer(self, items: list[Item]) -> pa.Table:
        """One row for each item, in order."""
        return pa.Table.from_pylist(rows_of(self._lookup, self._tokenizer, items, thresholds=self._thresholds), SCHEMA)


def rows_of(lookup: Lookup, tokenizer: Tokenizer, items: list[Item], *, thresholds: Thresholds) -> list[dict[str, Any]]:
    """The verdicts on items as rows of SCHEMA."""
    found = judged_items(lookup, tokenizer, [item.text for item in items], thresholds=thresholds)
    rows = []
    for item, verdict in zip(items, found, strict=True):
        told = asdict(verdict)
        told["differences"] = [{"typed": typed, "held": held} for typed, held in verdict.differences]
        told["documents"] = list(verdict.documents)
        rows.append({"id": item.id, **told})
    return rows
