"""The memory, written a second time as plainly as possible: Python integers, dictionaries, int64 matrices, loops.

It shares no arithmetic with memo_dist. Tests hold every optimised, sharded or stored path against it.
"""

import itertools
import unicodedata
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


Text = list[str | int]  # characters, and tokens that are no text alone


class ReferenceKeys:
    """The equations of memo_dist/models/text/keys.py, from the text before a place, read anew for every place."""

    def __init__(self, windows: tuple[int, ...], seed: int) -> None:
        self.windows = windows
        first = mix64(seed + 0x6B657973)
        names = ["begin", "word", "other", "token", "space", "tail", "rest"]
        names += [f"block{j}" for j in range(13)] + [f"rung{r}" for r in range(16)] + [f"key{r}" for r in range(16)]
        self.words = {name: mix64(first + (i + 1) * GOLDEN) for i, name in enumerate(names)}

    def keys(self, before: Text, begins: bool) -> list[int]:
        """Keys of the filled rungs, shortest first. `begins`: the text's beginning is that of the document."""
        steps = [step for one in before for step in _folded(one)]
        far = len(steps) - 4096
        units, space = _units(steps)
        seen = [content for content, start in units if start - 1 >= far or _late(content, start, far)]
        hashed = [self.unit(content) for content in seen]
        tail = self.chain("space", space)
        keys = [self.key(hashed, rung, tail) for rung, window in enumerate(self.windows) if len(hashed) >= window]
        if not keys and (begins or len(steps) >= 4096):
            keys = [self.key(hashed, 0, tail)]
        return keys

    def unit(self, content: list[tuple[str, int]]) -> int:
        return self.chain(content[0][0], [value for _, value in content])

    def chain(self, word: str, values: list[int]) -> int:
        found = self.words[word]
        for value in values[-64:]:
            found = mix64(found ^ value)
        return found

    def join(self, older: int, newer: int, word: str) -> int:
        turned = (newer << 32 | newer >> 32) & MASK
        return mix64((mix64(older + self.words[word]) ^ newer) * (turned | 1))

    def block(self, units: list[int]) -> int:
        """Of a list of units, oldest first."""
        if not units:
            return self.words["begin"]
        level = len(units).bit_length() - 1
        newest = units[-(1 << level) :]
        for j in range(level):
            newest = [self.join(a, b, f"block{j}") for a, b in zip(newest[::2], newest[1::2], strict=True)]
        rest = units[: -(1 << level)]
        return self.join(self.block(rest), newest[0], "rest") if rest else newest[0]

    def key(self, hashed: list[int], rung: int, tail: int) -> int:
        units = [self.words["begin"]] * self.windows[0] + hashed
        prefix, used = 0, 1
        for r in range(rung + 1):
            part = units[len(units) - self.windows[r] : len(units) - used]
            prefix = self.join(self.block(part), prefix, f"rung{r}") if r else self.block(part)
            used = self.windows[r]
        return self.join(prefix, self.join(units[-1], tail, "tail"), f"key{rung}")


def _folded(one: str | int) -> list[tuple[str, int]]:
    """The steps of a character or of a token that is no text alone."""
    if isinstance(one, int):
        return [("token", one)]
    if one.isspace():
        return [("space", ord(one))]
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", one).casefold())
    kept = "".join(plain.split()) or one
    return [("word" if c == "_" or unicodedata.category(c)[0] in "LNM" else "other", ord(c)) for c in kept]


def _units(steps: list[tuple[str, int]]) -> tuple[list[tuple[list[tuple[str, int]], int]], list[int]]:
    """(steps of the unit, its place) for each, and the white space after the last."""
    runs, place = [], 0
    for (kind, _), run in itertools.groupby(steps, lambda step: step if step[0] == "other" else (step[0], 0)):
        content = list(run)
        runs.append((kind, content, place))
        place += len(content)
    space = [value for _, value in runs.pop()[1]] if runs and runs[-1][0] == "space" else []
    units = []
    for kind, content, start in runs:
        if kind in ("word", "other"):
            units.append((content, start))
        elif kind != "space":
            units += [([step], start + i) for i, step in enumerate(content)]
    return units, space


def _late(content: list[tuple[str, int]], start: int, far: int) -> bool:
    """Whether a unit of 64 steps or more has its last 64 where they are seen."""
    return len(content) >= 64 and start + len(content) - 64 >= far


class ReferenceMemory:
    """Equations of docs/explanation/design.md, one token at a time.

    Args:
        texts: of each token, None where it is none; without, every token is a unit.
    """

    def __init__(
        self,
        banks: int,
        vocab: int,
        *,
        dim: int = 64,
        windows: tuple[int, ...] = (4, 16, 64),
        seed: int = 0,
        texts: list[str | None] | None = None,
    ) -> None:
        self.banks, self.vocab, self.dim, self.seed, self.texts = banks, vocab, dim, seed, texts
        self.keys = ReferenceKeys(windows, seed)
        self.counts: Counter[tuple[int, int]] = Counter()
        self.anchors: Counter[tuple[int, int]] = Counter()

    def text(self, tokens: list[int]) -> Text:
        """What tokens say."""
        found: Text = []
        for token in tokens:
            text = self.texts[token] if self.texts else None
            found += [token] if text is None else list(text)
        return found

    def associations(self, document: list[int]) -> list[tuple[int, int]]:
        return [
            (key, token)
            for place, token in enumerate([*document, self.vocab])
            for key in self.keys.keys(self.text(document[:place]), begins=True)
        ]

    def anchors_of(self, document: list[int], owner: int) -> list[tuple[int, int]]:
        """(key, owner) of every eighth window of 16 units, or of the first rung that is longer, or of the last one."""
        long = [rung for rung, window in enumerate(self.keys.windows) if window >= 16]
        rung = long[0] if long else len(self.keys.windows) - 1
        found = [self.keys.keys(self.text(document[:place]), begins=True) for place in range(len(document) + 1)]
        return [(keys[rung], owner) for keys in found if len(keys) > rung and keys[rung] % 8 == 0]

    def memorize(self, document: list[int], owner: int = 0) -> None:
        self.counts.update(self.associations(document))
        self.anchors.update(self.anchors_of(document, owner))

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
