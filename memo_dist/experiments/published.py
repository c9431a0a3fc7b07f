"""Published figures, read from the tables beside this file (published/README.md says what they are)."""

from importlib.resources import files
from typing import Any

import pyarrow as pa
import pyarrow.csv

LAYER_KEYS = ("inner_dim", "num_layers", "decoys", "iteration")
CAPACITY_KEYS = ("num_heads", "key_dim", "value_dim")


def published_layers() -> dict[tuple[int, ...], dict[str, float]]:
    """(inner_dim, num_layers, decoys, iteration) -> recall_first_batch and recall_last_batch, for 4 heads."""
    return _table("multilayer.csv", LAYER_KEYS)


def published_capacity() -> dict[tuple[int, ...], dict[str, float]]:
    """(num_heads, key_dim, value_dim) -> stored_pairs_at_90pct."""
    return _table("single_layer_capacity.csv", CAPACITY_KEYS)


def published_mqar() -> list[dict[str, Any]]:
    """Accuracy of models without attention in MQAR, read off Zoology's figures: of figure 2 by length, pairs and width,
    of the figure "state" by the numbers of their state; what a figure does not say is 0."""
    return _rows("mqar.csv")


def published_edits() -> list[dict[str, Any]]:
    """Systems that edit facts in language models: shares of edits, paraphrases and neighbours, None where unknown."""
    return _rows("edits.csv")


def published_needle() -> list[dict[str, Any]]:
    """Accuracy of what was told once in a long text: against its tokens in BABILong, against facts in FastFacts; what a
    source does not say is 0."""
    return _rows("needle.csv")


def published_episodes() -> list[dict[str, Any]]:
    """Language models on the Episodic Memories benchmark: simple and chronological recall."""
    return _rows("episodes.csv")


def published_sort() -> list[dict[str, Any]]:
    """Who tells which of two segments came first in Book-SORT: the least and the greatest share right."""
    return _rows("sort.csv")


def published_unlearning() -> list[dict[str, Any]]:
    """Ways to unlearn a text, on MUSE: ROUGE-L F and knowledge of what was forgotten and kept, shares; PrivLeak, %."""
    return _rows("unlearning.csv")


def _table(name: str, keys: tuple[str, ...]) -> dict[tuple[int, ...], dict[str, float]]:
    return {tuple(int(row[key]) for key in keys): row for row in _rows(name)}


def _rows(name: str) -> list[dict[str, Any]]:
    data = files("memo_dist.experiments").joinpath("published", name).read_bytes()
    rows: list[dict[str, Any]] = pyarrow.csv.read_csv(pa.BufferReader(data)).to_pylist()
    return rows
