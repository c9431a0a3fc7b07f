"""ProjectedEncoder: tokens -> the paper's keys, layer by layer (design section 2.1).

Covers: token vectors, compositions `jlt` and `product`, the keys of all layers summed. Does not cover: the matrix
(models/paper/contents.py).

    x_0(t)   = E[token t],  E ~ N(0, 1/d)                                   token vectors
    x_l(t)   = sum_j x_(l-1)(t - (h-1-j) h^(l-1)) P_(l-1,j),  P ~ N(0, 1/(d h))          composition jlt
    x_l(t)   = normalised elementwise product of the same h children                     composition product
    k_l(t)   = concat_j( x_l(t - (h-1-j) h^l) W_l ) / sqrt(h),  W_l ~ N(0, 1/d_k)        key of the window of h^(l+1)
    q(t)     = sum of k_l(t) over the layers whose window is full
With `direct`, one layer, x_0 W_0 is drawn by itself, N(0, 1/d_k) for each token: the published single-layer runs.
W_l is one matrix for all heads, so x_l W_l is computed once a position and copied to h places. The last layer's
encoding serves its key alone: there x_L W_L = sum_j x_(L-1)(..) (P_j W_L) with P_j W_L multiplied beforehand, a quarter
(1/h) of the arithmetic. Factors of a product are scaled to unit variance first: their product neither underflows nor
changes direction. Source: MeMo, arXiv 2502.12851, section 3.
"""

import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, add_product, to_device, to_host
from memo_dist.models.cues import Cues, Reader
from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.paper.gaussians import gaussian
from memo_dist.models.paper.lines import filled_windows, lay_out, query_lines
from memo_dist.segments import Segment

ENCODED_AT_ONCE = 1 << 12  # positions encoded at a time: 64 MiB of float32 vectors at d=4096
_PAD = 64  # the codebook's rows are a multiple of this, for decoding


class ProjectedEncoder:
    """Encoder of the preset `paper`.

    Args:
        config: the memory's definition.
        heads: the heads whose columns of the key are made; None for all.
        xp: numpy or cupy. Random matrices are drawn on the host all the same.

    Attributes:
        vectors: (V + 2 rounded up, d) float32; row V is "end of document", row V + 1 "before the document", the rest 0.
    """

    def __init__(self, config: PaperConfig, heads: range | None = None, xp: ModuleType = np) -> None:
        self.config, self.xp = config, xp
        self.heads = range(config.num_heads) if heads is None else heads
        rows = config.vocab_size + 2
        host = np.zeros((-(-rows // _PAD) * _PAD, config.inner_dim), np.float32)
        gaussian(
            config.seed,
            0,
            "E",
            shape=(rows, config.inner_dim),
            variance=1 / config.inner_dim,
            out=host[:rows],
        )
        self.vectors = to_device(host, xp)
        last = config.num_layers - 1
        self._compose: list[Array] = []
        direct = config.composition == "direct"
        self._parts = to_device(_key_parts(config), xp) if direct else None
        # (d, d_k), or (d, h d_k) for the last layer of jlt
        self._readout = [] if direct else [to_device(_value_map(config, 0), xp)]
        for layer in range(1, config.num_layers):
            weights = to_device(_value_map(config, layer), xp)
            if config.composition == "product":
                self._readout.append(weights)
                continue
            children = [to_device(_child_map(config, layer - 1, j), xp) for j in range(config.num_heads)]
            if layer == last:
                weights = xp.ascontiguousarray(xp.concatenate([child @ weights for child in children], axis=1))
            else:
                self._compose.append(children)
            self._readout.append(weights)

    def length(self, tokens: np.ndarray) -> tuple[int, str]:
        """See models.cues.Encoder."""
        return len(tokens), "tokens"

    def query(self, contexts: list[np.ndarray], at_start: bool | np.ndarray = False) -> Cues:
        """The cue after each context; see models.cues.Encoder."""
        line, known = query_lines(contexts, self.config)
        filled = filled_windows(known, self.config, at_start)
        step = max(1, ENCODED_AT_ONCE // line.shape[1])
        keys = [np.zeros((0, self._width), np.float32)]
        for first in range(0, len(line), step):
            part = line[first : first + step]
            ends = np.arange(1, len(part) + 1) * line.shape[1]
            keys.append(to_host(self._keys(part.ravel(), ends, filled[first : first + step])))
        return Cues(np.concatenate(keys), filled)

    def targets(self, segments: list[Segment]) -> Iterator[tuple[Cues, Array]]:
        """(cues, next tokens) of every position of the segments, in order, chunk by chunk."""
        for chunk in lay_out(segments, self.config, ENCODED_AT_ONCE):
            at = np.flatnonzero(chunk.known >= 0)
            filled = filled_windows(chunk.known[at], self.config, True)
            yield Cues(self._keys(chunk.line, at, filled), filled), chunk.line[at]

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        """Ask a memory: (n, 1, d) float32."""
        return reader.read(cues.values)[:, None, :]

    @property
    def _width(self) -> int:
        return len(self.heads) * self.config.bank_shape[0]

    def _keys(self, line: np.ndarray, ends: np.ndarray, filled: np.ndarray) -> Array:
        """Summed keys of the windows that end just before `ends` (t,) of a line (m,); (t, columns of the heads)."""
        xp, config = self.xp, self.config
        heads, width = config.num_heads, config.bank_shape[0]
        tokens = to_device(np.where(line < 0, config.vocab_size + 1, line), xp)
        encodings = self.vectors[tokens] if self._parts is None else self._parts[tokens]
        keys = xp.zeros((len(ends), self._width), np.float32)
        stride = 1
        for layer in range(config.num_layers):
            # `stride` is h^layer; the encodings are still those of layer - 1 where the last map does both steps
            last = layer == config.num_layers - 1
            both = last and layer > 0 and config.composition == "jlt"
            if layer and not both:
                encodings = self._composed(encodings, layer, stride // heads)
            heads_input = encodings @ self._readout[layer] if self._parts is None else encodings
            if both:
                heads_input = _shifted_sum(heads_input, heads, stride // heads)
            full = np.flatnonzero(filled[:, layer])
            rows, reach = to_device(full, xp), to_device(ends[full] - 1, xp)
            for column, head in enumerate(self.heads):
                child = heads_input[reach - (heads - 1 - head) * stride]
                if layer == 0 and len(full) == len(ends):
                    keys[:, column * width : (column + 1) * width] = child
                else:
                    keys[rows, column * width : (column + 1) * width] += child
            stride *= heads
        keys *= np.float32(1 / math.sqrt(heads))
        return keys

    def _composed(self, children: Array, layer: int, stride: int) -> Array:
        """x_l of every position from x_(l-1), (m, d); 0 where the line begins too late."""
        xp, heads = self.xp, self.config.num_heads
        count = max(0, len(children) - (heads - 1) * stride)
        result = xp.zeros_like(children)
        inside = result[len(children) - count :]
        if self.config.composition == "jlt":
            for j, weights in enumerate(self._compose[layer - 1]):
                add_product(inside, children[j * stride : j * stride + count], weights)
            return result
        inside += 1
        for j in range(heads):
            inside *= children[j * stride : j * stride + count] * np.float32(math.sqrt(self.config.inner_dim))
        inside /= xp.maximum(xp.linalg.norm(inside, axis=1, keepdims=True), np.float32(1e-30))
        return result


def _key_parts(config: PaperConfig) -> np.ndarray:
    """What every token puts into a key, (V + 2, d_k), if drawn by itself."""
    width = config.bank_shape[0]
    return gaussian(config.seed, 0, "K", shape=(config.vocab_size + 2, width), variance=1 / width)


def _value_map(config: PaperConfig, layer: int) -> np.ndarray:
    """W_l, (d, d_k)."""
    width = config.bank_shape[0]
    return gaussian(config.seed, layer, "W_V", shape=(config.inner_dim, width), variance=1 / width)


def _child_map(config: PaperConfig, layer: int, child: int) -> np.ndarray:
    """P_(l,j), (d, d)."""
    dim = config.inner_dim
    return gaussian(config.seed, layer, f"P_{child}", shape=(dim, dim), variance=1 / (dim * config.num_heads))


def _shifted_sum(rows: Array, heads: int, stride: int) -> Array:
    """(m, h d_k) -> (m, d_k): sum over j of the j-th part, (h-1-j) strides earlier; 0 where that is outside."""
    width, count = rows.shape[1] // heads, max(0, len(rows) - (heads - 1) * stride)
    result = rows[:, :width] * 0
    for j in range(heads):
        result[len(rows) - count :] += rows[j * stride : j * stride + count, j * width : (j + 1) * width]
    return result


def arithmetic(config: PaperConfig) -> int:
    """Floating-point operations that memorizing one position needs: maps between layers, keys, and C += q^T E."""
    rows, dim, heads = config.bank_shape[0] * config.num_heads, config.inner_dim, config.num_heads
    width, layers = config.bank_shape[0], config.num_layers
    if config.composition == "direct":
        return 2 * rows * dim
    if config.composition == "product":
        return 2 * (layers * dim * width + rows * dim)
    last = dim * heads * width if layers > 1 else 0
    others = (layers - 1 if layers > 1 else 1) * dim * width
    return 2 * (max(0, layers - 2) * heads * dim * dim + others + last + rows * dim)


def encoder_bytes(config: PaperConfig) -> int:
    """Memory of the encoder: token vectors, maps between layers, and what a chunk of positions takes."""
    dim, composed = config.inner_dim, max(0, config.num_layers - 2) if config.composition == "jlt" else 0
    maps = composed * config.num_heads + 2 * config.num_layers
    return 4 * ((config.vocab_size + 66) * dim + maps * dim * dim + 7 * ENCODED_AT_ONCE * dim)
