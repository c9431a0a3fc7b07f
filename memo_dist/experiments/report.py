"""Reports: rows of all seeds -> one table of means with the published figures beside them, as CSV and parquet.

Covers: means, spread, differences. Does not cover: measuring (layers.py, capacity.py), drawing (plots.py).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from memo_dist.durable import writing
from memo_dist.experiments.capacity import BATCH, CapacityRow
from memo_dist.experiments.layers import VOCABULARY, LayersRow
from memo_dist.experiments.published import CAPACITY_KEYS, LAYER_KEYS, published_capacity, published_layers


def layers_table(rows: Sequence[LayersRow]) -> list[dict[str, Any]]:
    """One line a (preset, inner_dim, num_layers, decoys, iteration): means over seeds, their standard deviation (None
    for one seed), the published recall, and by how much ours is above it (mean of first and last batch); what was
    measured with another vocabulary than the published has neither."""
    groups: dict[tuple[Any, ...], list[LayersRow]] = defaultdict(list)
    for row in rows:
        groups[(row.preset, *(getattr(row, key) for key in LAYER_KEYS))].append(row)
    known = published_layers()
    table = []
    for key, group in sorted(groups.items()):
        first, last = (np.array([getattr(r, name) for r in group]) for name in ("recall_first", "recall_last"))
        line: dict[str, Any] = dict(zip(("preset", *LAYER_KEYS), key, strict=True))
        line |= {
            "seeds": len(group),
            "tokens": group[0].tokens,
            "parameters": group[0].parameters,
            "load": float(np.mean([r.load for r in group])),
            "scored": sum(r.scored for r in group),
            "recall_first": float(first.mean()),
            "recall_first_sd": _spread(first),
            "recall_last": float(last.mean()),
            "recall_last_sd": _spread(last),
        }
        theirs = known.get(key[1:]) if group[0].vocab_size == VOCABULARY else None
        line["published_first"] = theirs["recall_first_batch"] if theirs else None
        line["published_last"] = theirs["recall_last_batch"] if theirs else None
        ours = (line["recall_first"] + line["recall_last"]) / 2
        line["difference"] = ours - (line["published_first"] + line["published_last"]) / 2 if theirs else None
        table.append(line)
    return table


def capacity_table(rows: Sequence[CapacityRow]) -> list[dict[str, Any]]:
    """One line a (preset, num_heads, key_dim, value_dim): mean capacity over seeds, the published one, and their
    difference in batches of 1,000 and relative to the published."""
    groups: dict[tuple[Any, ...], list[CapacityRow]] = defaultdict(list)
    for row in rows:
        groups[(row.preset, *(getattr(row, key) for key in CAPACITY_KEYS))].append(row)
    known = published_capacity()
    table = []
    for key, group in sorted(groups.items()):
        pairs = np.array([row.pairs_at_90 for row in group], float)
        line: dict[str, Any] = dict(zip(("preset", *CAPACITY_KEYS), key, strict=True))
        line |= {
            "seeds": len(group),
            "parameters": group[0].parameters,
            "pairs_at_90": float(pairs.mean()),
            "pairs_at_90_sd": _spread(pairs),
            "pairs_per_parameter": float(pairs.mean()) / group[0].parameters,
        }
        theirs = known.get(key[1:])
        line["published"] = theirs["stored_pairs_at_90pct"] if theirs else None
        gap = line["pairs_at_90"] - line["published"] if theirs else None
        line["difference_batches"] = gap / BATCH if gap is not None else None
        line["difference_share"] = gap / line["published"] if gap is not None else None
        table.append(line)
    return table


def seed_means(rows: Sequence[Any], settings: Sequence[str]) -> list[dict[str, Any]]:
    """One line for each different `settings` of the rows, sorted: these, how many seeds, means of all other columns."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(getattr(row, name) for name in settings)].append(asdict(row))
    table = []
    for key, group in sorted(groups.items()):
        line: dict[str, Any] = dict(zip(settings, key, strict=True)) | {"seeds": len(group)}
        for name in group[0]:
            if name not in (*settings, "seed"):
                line[name] = float(np.mean([one[name] for one in group]))
        table.append(line)
    return table


def write_table(table: list[dict[str, Any]], out: Path, name: str) -> list[Path]:
    """Write `name`.csv and `name`.parquet.

    Raises:
        StorageError: they cannot be written.
    """
    arrow = pa.Table.from_pylist(table)
    # a column without any figure has no type yet
    types = [pa.field(f.name, pa.float64() if pa.types.is_null(f.type) else f.type) for f in arrow.schema]
    arrow = arrow.cast(pa.schema(types))
    paths = [out / f"{name}.csv", out / f"{name}.parquet"]
    with writing(paths[0]):
        pyarrow.csv.write_csv(arrow, paths[0])
    with writing(paths[1]):
        pyarrow.parquet.write_table(arrow, paths[1])
    return paths


def _spread(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
