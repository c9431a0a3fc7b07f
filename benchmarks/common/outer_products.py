"""The published method's arithmetic, written plainly from its equations (docs/explanation/paper.md).

None of the published code was used.

Covers: memorizing batches of sequences, each layer by itself. Does not cover: retrieving; measuring, which is
published_method.py's. The random matrices are those of the preset paper, so both must give the same matrix.

    x_0 = E[token],  x_l(t) = sum_j x_(l-1)(t - (h-1-j) h^(l-1)) P_(l-1,j)
    k_l(t) = concat_j( x_l(t - (h-1-j) h^l) W_l ) / sqrt(h)
    per layer, a tensor T of outer products k_l(t)^T E[x_(t+1)], then C += its sum over the first axis:
        by sequence   T is (sequences, d, d); one product of (d, positions) by (positions, d) fills each slice
        by position   T is (positions, d, d); each slice is one outer product
What is kind to it: x_l and x_l W_l are computed once a position, not once a window that holds it.
"""

import numpy as np

from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.paper.gaussians import gaussian
from memo_dist.models.paper.lines import BEGIN, Chunk, filled_windows


class OuterProducts:
    """The published memory.

    Args:
        config: of the preset paper, composition jlt, key_dim = inner_dim.
        positions: 0 for tensors by sequence; else by position, for so many positions at a time.

    Attributes:
        cells: C, (d, d) float32.
    """

    def __init__(self, config: PaperConfig, positions: int = 0) -> None:
        dim, heads, width = config.inner_dim, config.num_heads, config.bank_shape[0]
        self.config, self._positions = config, positions
        self.cells = np.zeros((dim, dim), np.float32)
        self._vectors = gaussian(config.seed, 0, "E", shape=(config.vocab_size + 2, dim), variance=1 / dim)
        layers = range(config.num_layers)
        self._value_maps = [
            gaussian(config.seed, layer, "W_V", shape=(dim, width), variance=1 / width) for layer in layers
        ]
        self._child_maps = [
            [gaussian(config.seed, layer, f"P_{j}", shape=(dim, dim), variance=1 / (dim * heads)) for j in range(heads)]
            for layer in layers[:-1]
        ]

    def memorize(self, sequences: list[Chunk]) -> None:
        """Add a batch of sequences to C."""
        config, heads = self.config, self.config.num_heads
        tokens, known = (_stacked([getattr(s, name) for s in sequences]) for name in ("line", "known"))
        filled = filled_windows(known.ravel(), config, True).reshape(*known.shape, -1) & (known >= 0)[:, :, None]
        encodings = values = self._vectors[np.where(tokens == BEGIN, config.vocab_size + 1, tokens)]
        for layer in range(config.num_layers):
            stride = heads**layer
            if layer:
                encodings = self._composed(encodings, layer)
            parts = encodings @ self._value_maps[layer]
            # the window ends at the token before the one that is memorized
            keys = np.concatenate([_earlier(parts, 1 + (heads - 1 - j) * stride) for j in range(heads)], axis=2)
            keys *= np.float32(1 / np.sqrt(heads))
            keys[~filled[:, :, layer]] = 0
            self._add(keys, values, known >= 0)

    def _composed(self, children: np.ndarray, layer: int) -> np.ndarray:
        """x_layer from x_(layer-1), whose children stand h^(layer-1) apart."""
        heads, stride = self.config.num_heads, self.config.num_heads ** (layer - 1)
        total = np.zeros_like(children)
        for j, weights in enumerate(self._child_maps[layer - 1]):
            total += _earlier(children, (heads - 1 - j) * stride) @ weights
        return total

    def _add(self, keys: np.ndarray, values: np.ndarray, targets: np.ndarray) -> None:
        if not self._positions:
            tensor = keys.transpose(0, 2, 1) @ values
            self.cells += tensor.sum(axis=0)
            return
        rows = np.argwhere(targets)
        for first in range(0, len(rows), self._positions):
            sequence, place = rows[first : first + self._positions].T
            tensor = keys[sequence, place][:, :, None] * values[sequence, place][:, None, :]
            self.cells += tensor.sum(axis=0)


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of different lengths as one array, filled up with -1, which means "no token" and "no target"."""
    stacked = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = row
    return stacked


def _earlier(rows: np.ndarray, steps: int) -> np.ndarray:
    """(s, m, k): what stands `steps` positions earlier, 0 before the beginning."""
    moved = np.zeros_like(rows)
    moved[:, steps:] = rows[:, : max(0, rows.shape[1] - steps)]
    return moved
