"""Published figures, read from the tables beside this file (published/README.md says what they are)."""

from importlib.resources import files

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


def _table(name: str, keys: tuple[str, ...]) -> dict[tuple[int, ...], dict[str, float]]:
    data = files("memo_dist.experiments").joinpath("published", name).read_bytes()
    rows = pyarrow.csv.read_csv(pa.BufferReader(data)).to_pylist()
    return {tuple(int(row[key]) for key in keys): row for row in rows}
