"""HashedEncoder: tokens -> the hash of every window, layer by layer (design section 2.2, `composition = hash`).

Covers: windows of documents and segments, their associations, the windows of a query. Does not cover: codes of hashes
(codes.py) and the paper's projected encodings.

    w_0(t) = mix64(sum_j m_0j * symbol(x_(t-h+1+j)))                 the last h tokens
    w_l(t) = mix64(sum_j m_lj * w_(l-1)(t - (h-1-j) h^l))            h children at stride h^l
with odd multipliers m_lj drawn from (seed, l, j): order matters, and nothing else of the position does.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from memo_dist.associations import Associations, associate, bank_of
from memo_dist.backend import Array, namespace, to_device
from memo_dist.codes import begin_symbol, mix64, mix64_int, token_symbols
from memo_dist.config import MemoryConfig

_CHUNK = 1 << 18  # positions hashed at a time: temporaries stay near the caches


@dataclass(frozen=True)
class Segment:
    """A run of one document's tokens.

    Attributes:
        start: where the run begins in its document, 0 for the beginning; bytes of text for files.
        context: the h^L tokens before the run, or all there are if the document has fewer.
        tokens: the run.
        ends: the document's last token is in it, so "end of document" is memorized after it.
    """

    start: int
    context: np.ndarray
    tokens: np.ndarray
    ends: bool


class HashedEncoder:
    """Encoder of the preset `text`; holds only the config and 12 multipliers.

    Args:
        config: the memory's definition.
        xp: numpy or cupy, where the hashing runs.
    """

    def __init__(self, config: MemoryConfig, xp: ModuleType = np) -> None:
        self.config = config
        self.xp = xp
        self._multipliers = [
            [mix64_int(config.seed + 1000 * (layer + 1) + j) | 1 for j in range(config.num_heads)]
            for layer in range(config.num_layers)
        ]

    def window_hashes(self, symbols: Array) -> list[Array]:
        """Hashes of the windows that end just before each position.

        Args:
            symbols: (n,) uint64 hashed symbols.

        Returns:
            One (n + 1,) uint64 array per layer; entry i covers symbols[i - h^(l+1) : i] and is 0 where i < h^(l+1).
        """
        hashes, stride = symbols, 1
        layers = []
        for layer in range(self.config.num_layers):
            hashes = self._compose(hashes, layer, stride, first=layer == 0)
            layers.append(hashes)
            stride *= self.config.num_heads
        return layers

    def _compose(self, children: Array, layer: int, stride: int, first: bool) -> Array:
        # children[i] of layer 0 is symbol i itself, of later layers the window that ends before i
        xp, heads = self.xp, self.config.num_heads
        count = len(children) + (1 if first else 0)
        reach = heads * stride
        result = xp.zeros(count, dtype=xp.uint64)
        if count <= reach:
            return result
        total = xp.zeros(count - reach, dtype=xp.uint64)
        for j, multiplier in enumerate(self._multipliers[layer]):
            begin = j if first else (j + 1) * stride
            total += children[begin : begin + count - reach] * xp.uint64(multiplier)
        result[reach:] = mix64(total)
        return result

    def associations(self, segments: list[Segment], banks: range) -> Associations:
        """Every (window, next token) of the segments whose bank is in `banks`, repeats included, unordered.

        Layer 0 is padded before a document's first token; a longer window counts only once it is full.
        """
        found = [self._chunk(*chunk, banks) for chunk in self._chunks(segments)]
        if not found:
            found = [associate(self.xp.zeros(0, self.xp.uint64), self.xp.zeros(0, self.xp.uint32))]
        xp = self.xp
        return Associations(xp.concatenate([f.names for f in found]), xp.concatenate([f.tokens for f in found]))

    def _chunks(self, segments: list[Segment]) -> "list[tuple[list[np.ndarray], list[np.ndarray]]]":
        """Lay segments end to end, split into chunks of about _CHUNK positions: (tokens, positions) pieces.

        Each piece is `context_length` or fewer tokens of left context followed by its targets; its positions array
        holds, for each target, how many tokens of its document are known before it, and -1 for mere context. Beyond
        the longest window the count no longer matters, so a segment's place in its document is not needed.
        """
        reach = self.config.context_length
        chunks: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
        size = _CHUNK
        for segment in segments:
            end = np.full(1 if segment.ends else 0, self.config.end_of_document, np.int64)
            line = np.concatenate([segment.context.astype(np.int64), segment.tokens.astype(np.int64), end])
            at = len(segment.context)
            while at < len(line):
                if size >= _CHUNK:
                    chunks.append(([], []))
                    size = 0
                stop = min(len(line), at + _CHUNK - size)
                left = max(0, at - reach)
                begin = np.full(self.config.num_heads, -1, np.int64)  # begin-of-document padding
                positions = np.full(len(begin) + stop - left, -1, np.int64)
                positions[len(begin) + at - left :] = np.arange(at, stop)
                chunks[-1][0].append(np.concatenate([begin, line[left:stop]]))
                chunks[-1][1].append(positions)
                size += stop - at
                at = stop
        return chunks

    def _chunk(self, tokens: list[np.ndarray], positions: list[np.ndarray], banks: range) -> Associations:
        xp, config = self.xp, self.config
        line = to_device(np.concatenate(tokens), xp)
        where = to_device(np.concatenate(positions), xp)
        layers = self.window_hashes(self._symbols(line))
        names, nexts = [], []
        everything = len(banks) == config.num_banks
        for window, hashes in zip(config.windows, layers, strict=True):
            keep = where >= (0 if window == config.windows[0] else window)
            chosen, following = hashes[:-1][keep], line[keep].astype(xp.uint32)
            if not everything:
                bank = bank_of(chosen, config.num_banks)
                mine = (bank >= banks.start) & (bank < banks.stop)
                chosen, following = chosen[mine], following[mine]
            pair = associate(chosen, following)
            names.append(pair.names)
            nexts.append(pair.tokens)
        return Associations(xp.concatenate(names), xp.concatenate(nexts))

    def _symbols(self, line: Array) -> Array:
        # -1 marks begin of document
        xp = self.xp
        symbols = token_symbols(xp.maximum(line, 0), self.config.seed)
        return xp.where(line < 0, xp.uint64(begin_symbol(self.config.seed)), symbols)

    def query(self, contexts: list[np.ndarray], at_start: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Window hashes of queries: what is asked after each context.

        Args:
            contexts: n token arrays of any length; the last h^L tokens count.
            at_start: the contexts begin where a document begins, so layer 0 may look at padding.

        Returns:
            (hashes, filled): (n, L) uint64 and (n, L) bool; a window that the context does not fill is not filled.
        """
        reach, heads = self.config.context_length, self.config.num_heads
        width = reach + heads
        line = np.full((len(contexts), width), -1, np.int64)
        lengths = np.empty(len(contexts), np.int64)
        for row, context in enumerate(contexts):
            tail = np.asarray(context, np.int64)[-reach:]
            line[row, width - len(tail) :] = tail
            lengths[row] = len(context)
        symbols = self._symbols(to_device(line.ravel(), self.xp))
        ends = np.arange(1, len(contexts) + 1) * width
        hashes = np.stack([_host(layer[to_device(ends, self.xp)]) for layer in self.window_hashes(symbols)], axis=1)
        filled = lengths[:, None] >= np.asarray(self.config.windows)[None, :]
        if at_start:
            filled[:, 0] = True
        return hashes, filled


def _host(array: Array) -> np.ndarray:
    return np.asarray(array if namespace(array) is np else array.get())
