"""The memory, written a second time as plainly as possible: Python integers, dictionaries, int64 matrices, loops.

It shares no arithmetic with memo_dist. Tests hold every optimised, sharded or stored path against it.
"""

from collections import Counter

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models.paper.gaussians import gaussian

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix64(x: int) -> int:
    x &= MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class ReferenceMemory:
    """Equations of docs/explanation/design.md, section 2.2, one token at a time."""

    def __init__(self, banks: int, vocab: int, dim: int = 64, heads: int = 4, layers: int = 3, seed: int = 0) -> None:
        self.banks, self.vocab, self.dim, self.heads, self.layers, self.seed = banks, vocab, dim, heads, layers, seed
        self.counts: Counter[tuple[int, int]] = Counter()

    def symbol(self, token: int | None) -> int:
        return mix64((0xFFFFFFFF if token is None else token) + mix64(self.seed + GOLDEN))

    def window(self, tokens: list[int | None], layer: int) -> int:
        """Hash of the last h^(layer+1) of `tokens`."""
        if layer < 0:
            return self.symbol(tokens[-1])
        stride = self.heads**layer
        total = 0
        for j in range(self.heads):
            end = len(tokens) - (self.heads - 1 - j) * stride
            multiplier = mix64(self.seed + 1000 * (layer + 1) + j) | 1
            total += multiplier * self.window(tokens[:end], layer - 1)
        return mix64(total)

    def associations(self, document: list[int]) -> list[tuple[int, int]]:
        found = []
        for place, token in enumerate([*document, self.vocab]):
            padded: list[int | None] = [None] * self.heads + document[:place]
            for layer in range(self.layers):
                if layer == 0 or place >= self.heads ** (layer + 1):
                    found.append((self.window(padded, layer), token))
        return found

    def memorize(self, document: list[int]) -> None:
        self.counts.update(self.associations(document))

    def signs(self, name: int, stream: int) -> np.ndarray:
        words = self.dim // 64
        bits = []
        for i in range(words):
            word = mix64(name + (stream * words + i + 1) * GOLDEN)
            bits += [(word >> b) & 1 for b in range(64)]
        return 1 - 2 * np.array(bits, np.int64)

    def value(self, token: int) -> np.ndarray:
        return self.signs(mix64(token + mix64(self.seed + 0x76616C756573)), 0)

    def bank(self, name: int) -> int:
        return ((name >> 32) * self.banks) >> 32

    def matrices(self) -> np.ndarray:
        cells = np.zeros((self.banks, self.dim, self.dim), np.int64)
        for (name, token), count in self.counts.items():
            if count > 0:
                cells[self.bank(name)] += np.outer(self.signs(name, 0), self.value(token) * self.signs(name, 1))
        return cells


def reference_key(config: MemoryConfig, before: list[int], layers: list[int]) -> np.ndarray:
    """The paper's key (docs/explanation/paper.md) after a document's tokens `before`, summed over some layers: one
    layer and one child at a time, in float64. Only the random draws are those of memo_dist."""
    dim, heads, width = config.inner_dim, config.num_heads, config.bank_shape[0]
    tokens = gaussian(config.seed, 0, "E", shape=(config.vocab_size + 2, dim), variance=1 / dim).astype(float)
    seen = [config.vocab_size + 1] * heads + before

    def encoding(line: list[int], layer: int) -> np.ndarray:
        """x_layer of the last h^layer tokens of a line."""
        if layer == 0:
            return tokens[line[-1]]
        stride = heads ** (layer - 1)
        children = [encoding(line[: len(line) - (heads - 1 - j) * stride], layer - 1) for j in range(heads)]
        if config.composition == "product":
            product = np.prod([np.sqrt(dim) * child for child in children], axis=0)
            return np.asarray(product / np.linalg.norm(product))
        maps = [
            gaussian(config.seed, layer - 1, f"P_{j}", shape=(dim, dim), variance=1 / (dim * heads))
            for j in range(heads)
        ]
        return np.asarray(
            sum(child @ projection.astype(float) for child, projection in zip(children, maps, strict=True))
        )

    key = np.zeros(heads * width)
    for layer in layers:
        weights = gaussian(config.seed, layer, "W_V", shape=(dim, width), variance=1 / width).astype(float)
        stride = heads**layer
        children = [seen[: len(seen) - (heads - 1 - j) * stride] for j in range(heads)]
        if config.composition == "direct":
            table = gaussian(config.seed, 0, "K", shape=(config.vocab_size + 2, width), variance=1 / width).astype(
                float
            )
            parts = [table[child[-1]] for child in children]
        else:
            parts = [encoding(child, layer) @ weights for child in children]
        key += np.concatenate(parts) / np.sqrt(heads)
    return key


def reference_matrix(config: MemoryConfig, documents: dict[str, list[int]]) -> np.ndarray:
    """The paper's matrix, one position at a time, in float64: the sum of keys times the vectors of next tokens."""
    dim = config.inner_dim
    tokens = gaussian(config.seed, 0, "E", shape=(config.vocab_size + 2, dim), variance=1 / dim).astype(float)
    matrix = np.zeros((config.num_heads * config.bank_shape[0], dim))
    for document in documents.values():
        line = [*document, config.vocab_size]
        for place, target in enumerate(line):
            full = [n for n in range(config.num_layers) if not n or place >= config.num_heads ** (n + 1)]
            matrix += np.outer(reference_key(config, line[:place], full), tokens[target])
    return matrix


def expanded(planes: np.ndarray) -> np.ndarray:
    """(bits, d, d / 64) sign planes -> (d, d) int32 of odd integers q."""
    bits, dim, _ = planes.shape
    ones = np.unpackbits(planes.view(np.uint8), axis=2, bitorder="little").astype(np.int32)
    return np.asarray(((1 - 2 * ones) * (1 << np.arange(bits))[:, None, None]).sum(axis=0).T.reshape(dim, dim))
