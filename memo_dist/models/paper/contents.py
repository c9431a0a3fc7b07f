"""ProjectedContents: a block of rows of the paper's one matrix.

Covers: memorize, forget, merge and retrieve in float32. Does not cover: keys (models/paper/encoder.py).

    memorize   C += sum_t q(t)^T E[x_(t+1)],  q(t) the layers' keys summed        forget: the same subtracted
    retrieve   r = q C
All layers share the value, so their keys are summed first: one GEMM, not L; and a chunk of positions is one GEMM, never
a (positions, d, d) tensor. Where few different tokens follow many positions, keys are summed by next token before that,
C += A^T E with A[w] = the sum of the keys followed by w: exact too, and cheaper from about two positions a token.
Sums are float32: another order or another layout of shards agrees within rounding, the same one to the bit.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, add_product, sum_by_group, to_device, to_host
from memo_dist.digests import array_digest
from memo_dist.models.contents import Contents
from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.paper.encoder import ProjectedEncoder
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment


class ProjectedContents:
    """Heads `banks` of a paper memory: rows [start d_k, stop d_k) of the matrix.

    Args:
        config: the memory's definition.
        banks: the heads owned.
        xp: numpy or cupy.
    """

    def __init__(self, config: PaperConfig, banks: range, xp: ModuleType = np) -> None:
        self.config, self.banks, self.xp = config, banks, xp
        self.encoder = ProjectedEncoder(config, banks, xp)
        self.cells = xp.zeros((len(banks), *config.bank_shape), np.float32)
        self._associations = 0

    @property
    def with_ledger(self) -> None:
        """None: sums of cells are all that is kept."""
        return None

    def memorize(self, segments: list[Segment]) -> None:
        """Add the segments' products."""
        self._add(segments, 1)

    def forget(self, segments: list[Segment]) -> None:
        """Subtract the segments' products; the same to the bit only in the order in which they were added."""
        self._add(segments, -1)

    def _add(self, segments: list[Segment], sign: int) -> None:
        block = self.cells.reshape(-1, self.config.inner_dim)
        for cues, following in self.encoder.targets(segments):
            keys, tokens = cues.values, following
            if self.xp is np:
                distinct, group = np.unique(following, return_inverse=True)
                if 2 * len(distinct) <= len(following):
                    keys, tokens = sum_by_group(keys, group, len(distinct)), distinct
            values = self.encoder.vectors[to_device(tokens, self.xp)]
            add_product(block, keys, values, scale=sign, transpose=True)
            self._associations += sign * int(cues.filled.sum())

    def merge(self, other: Contents) -> None:
        """Add another one's cells."""
        first = other.banks.start - self.banks.start
        self.cells[first : first + len(other.banks)] += other.read_banks(0, len(other.banks))
        self._associations += other.num_associations

    def read_banks(self, start: int, stop: int) -> Array:
        """See Contents."""
        return self.cells[start:stop]

    def retrieve(self, part: np.ndarray) -> np.ndarray:
        """(m, rows) columns of keys -> (m, d) float32, this block's share of r."""
        block = self.cells.reshape(-1, self.config.inner_dim)
        return to_host(to_device(part, self.xp) @ block)

    @property
    def num_associations(self) -> int:
        return self._associations if 0 in self.banks else 0

    def token_counts(self) -> np.ndarray | None:
        """None: without a ledger nobody knows which associations are distinct."""
        return None

    def bank_digests(self) -> np.ndarray:
        """(len(banks), 2, 16) uint8; the second of each is that of no entries."""
        digests = np.empty((len(self.banks), 2, 16), np.uint8)
        digests[:, 0] = [array_digest(cells) for cells in self.cells]
        digests[:, 1] = array_digest()
        return digests

    def restore(
        self, banks: range, *, cells: Iterator[np.ndarray], held: Entries, bounds: list[int], associations: int
    ) -> None:
        """Fill empty banks from a file; see Contents."""
        for bank, values in zip(banks, cells, strict=True):
            self.cells[bank - self.banks.start] = to_device(values, self.xp)
        if 0 in banks:
            self._associations += associations
