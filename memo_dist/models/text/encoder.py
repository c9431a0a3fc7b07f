"""HashedEncoder: tokens -> the hash of every window, layer by layer (design section 2.2, `composition = hash`).

Covers: windows of documents and segments, their associations, the windows of a query. Does not cover: codes of hashes
(codes.py) and the paper's projected encodings.

    w_0(t) = mix64(sum_j m_0j * symbol(x_(t-h+1+j)))                 the last h tokens
    w_l(t) = mix64(sum_j m_lj * w_(l-1)(t - (h-1-j) h^l))            h children at stride h^l
with odd multipliers m_lj drawn from (seed, l, j): order matters, and nothing else of the position does.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.device.conveyor import Conveyor
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.cues import Cues, Reader, filled_windows
from memo_dist.models.text.associations import TOKEN_SALT, Associations, associate
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.codes import begin_symbol, mix64, mix64_int, symbol_offset, token_symbols
from memo_dist.segments import Segment, lay_out, query_lines

_CHUNK = 1 << 18  # positions hashed at a time: temporaries stay near the caches


class HashedEncoder:
    """Encoder of the preset `text`; holds only the config and h multipliers for each layer.

    Args:
        config: the memory's definition.
        xp: numpy or cupy, where the hashing runs.
        plain: hash by array operations, as on a GPU, instead of what is compiled for the CPU; the same associations.
    """

    def __init__(self, config: MemoryConfig, xp: ModuleType = np, plain: bool = False) -> None:
        self.config = config
        self.xp = xp
        self._compiled = xp is np and not plain
        self._conveyor = None if xp is np else Conveyor(xp)  # a GPU gets the next chunk while it hashes this one
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
            hashes = self._compose(hashes, layer=layer, stride=stride, first=layer == 0)
            layers.append(hashes)
            stride *= self.config.num_heads
        return layers

    def _compose(self, children: Array, *, layer: int, stride: int, first: bool) -> Array:
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

    def associations(self, segments: list[Segment], banks: range) -> Iterator[Associations]:
        """Every (window, next token) of the segments whose bank is in `banks`, repeats included, unordered.

        Layer 0 is padded before a document's first token; a longer window counts only once it is full.
        They come chunk by chunk of at most 2**18 positions.
        """
        chunks = lay_out(segments, self.config, _CHUNK)
        if self._conveyor is None:
            chosen = self._compiled_chunk if self._compiled else self._chunk
            yield from (chosen(chunk.line, chunk.known, banks) for chunk in chunks)
            return
        for line, known in self._conveyor.carry(np.stack([chunk.line, chunk.known]) for chunk in chunks):
            yield self._chunk(line, known, banks)

    def _compiled_chunk(self, line: np.ndarray, known: np.ndarray, banks: range) -> Associations:
        from memo_dist.kernels.hashes import window_associations

        if not len(banks):
            return Associations(np.zeros(0, np.uint64), np.zeros(0, np.uint32))
        config, seed = self.config, self.config.seed
        room = config.num_layers * len(line) + 1
        names, tokens = np.empty(room, np.uint64), np.empty(room, np.uint32)
        low, high = bank_edge(banks.start, config.num_banks), bank_edge(banks.stop, config.num_banks)
        words = (np.uint64(word) for word in (symbol_offset(seed), begin_symbol(seed), TOKEN_SALT, low, high - 1))
        found = window_associations(line, known, np.array(self._multipliers, np.uint64), *words, names, tokens)
        return Associations(names[:found].copy(), tokens[:found].copy())

    def _chunk(self, line: Array, known: Array, banks: range) -> Associations:
        """Associations in arrays of their own, so that line and known may be overwritten."""
        xp, config = self.xp, self.config
        names, nexts = [], []
        everything = len(banks) == config.num_banks
        for window, hashes in zip(config.windows, self.window_hashes(self._symbols(line)), strict=True):
            keep = known >= (0 if window == config.windows[0] else window)
            chosen, following = hashes[:-1][keep], line[keep].astype(xp.uint32)
            if not everything:
                bank = bank_of(chosen, config.num_banks)
                mine = (bank >= banks.start) & (bank < banks.stop)
                chosen, following = chosen[mine], following[mine]
            pair = associate(chosen, following)
            names.append(pair.names)
            nexts.append(pair.tokens)
        return Associations(xp.concatenate(names), xp.concatenate(nexts))

    def targets(self, segments: list[Segment]) -> Iterator[tuple[Cues, Array]]:
        """(cues, next tokens) of every position of the segments, in order, chunk by chunk."""
        for chunk in lay_out(segments, self.config, _CHUNK):
            layers = self.window_hashes(self._symbols(to_device(chunk.line, self.xp)))
            targets = np.flatnonzero(chunk.known >= 0)
            rows = to_device(targets, self.xp)
            values = to_host(self.xp.stack([hashes[rows] for hashes in layers], axis=1))
            yield Cues(values, filled_windows(chunk.known[targets], self.config, True)), chunk.line[targets]

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        """Read all filled windows: (n, L, d) int32, zero where not filled."""
        reads = np.zeros((*cues.values.shape, self.config.inner_dim), np.int32)
        reads[cues.filled] = reader.read(cues.values[cues.filled])
        return reads

    def _symbols(self, line: Array) -> Array:
        # -1 marks begin of document
        xp = self.xp
        symbols = token_symbols(xp.maximum(line, 0), self.config.seed)
        return xp.where(line < 0, xp.uint64(begin_symbol(self.config.seed)), symbols)

    def query(self, contexts: list[np.ndarray], at_start: bool | np.ndarray = False) -> Cues:
        """The cue after each context; see models.cues.Encoder."""
        line, known = query_lines(contexts, self.config)
        symbols = self._symbols(to_device(line.ravel(), self.xp))
        ends = to_device(np.arange(1, len(contexts) + 1) * line.shape[1], self.xp)
        hashes = np.stack([to_host(layer[ends]) for layer in self.window_hashes(symbols)], axis=1)
        return Cues(hashes, filled_windows(known, self.config, at_start))
