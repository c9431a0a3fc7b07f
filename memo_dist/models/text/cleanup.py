"""Cleanup for the preset text: vectors read from the memory -> token ids, layer scores, log-odds.

Covers: which token a set of reads supports, and how surely. Does not cover: reading (banks.py),
continuation (recalling/recall.py).

For layer l, read r_l and token v, the score z_l(v) = r_l O[v]^T / d^2 is 1 + noise if (window, v) is held, noise
otherwise. The noise is Gaussian with a variance that the read itself tells: the values are random signs, so
s_l^2 = |r_l|^2 / d^4, whatever the load of the bank and however many tokens follow that window. So
    evidence that layers 0..k-1 hold v:   E_k(v) = sum_{l<k} (z_l(v) - 1/2) / s_l^2        (log-likelihood ratio)
A context that was memorized matches in all m layers that it fills; a rival may share the short windows only. With
prior p(v), the share of what is held whose next token is v (prior.py), for each number of matching layers and 1 for
none,
    log_odds(v) = E_m(v) + log p(v) - log(1 + sum_{k=1}^{m-1} exp(E_k(v)) p(v))
is the log of P(v continues this whole context) against its being noise or a partial match. docs/decisions/0002 tells
what it is worth against fixed layer weights.

Searching the codebook, nearly all of the work, runs where the codebook is, NumPy or CuPy, in whole numbers that float32
sums without error; of what is on the shortlist only sums come to the host, where the log-odds are made. So a GPU gives
the bits that NumPy gives.
"""

from copy import copy
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.log_sum import log_sum_exp
from memo_dist.models.candidates import BLOCK, SCORES_AT_ONCE, Candidates, best_whole, first_columns, joined
from memo_dist.models.cues import Encoder
from memo_dist.models.text.bit_planes import sign_planes
from memo_dist.models.text.codes import signs, value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.prior import Prior
from memo_dist.models.text.pursuit import pursue
from memo_dist.models.text.search import AT_ONCE, best_codes

_FEW = 4  # queries for which the CPU searches packed codes, bit by bit, instead of tables
_SPARE = 16  # tokens beyond the shortlist that may be as good, by tables, as its last
_FEW_BITS = 6  # of the vector that is sought: errors of a 64th of its largest entry
_STEPS = 2047  # of the vector that is multiplied, each way: 11 bits, which tensor cores keep


class HashedCleanup:
    """The value codebook and the search in it.

    Args:
        config: the memory's definition.
        encoder: of the memory, whose cues these are.
        shortlist: how many tokens, found by one matrix product, are scored exactly.
        xp: numpy or cupy, where the codebook is kept and searched.
        prior: (V + 1,) associations held whose next token is v; None: all tokens are equally likely.
    """

    def __init__(
        self,
        config: TextConfig,
        encoder: Encoder,
        *,
        shortlist: int = 16,
        xp: ModuleType = np,
        prior: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.xp = xp
        self.encoder = encoder
        size = config.vocab_size + 1
        self._packed = value_words(config.vocab_size, config.inner_dim, config.seed, xp=xp)
        self._padded = xp.zeros((-(-size // BLOCK) * BLOCK, config.inner_dim), np.float32)
        self._padded[:size] = signs(self._packed)
        self.codebook = self._padded[:size]
        self.shortlist = min(shortlist, config.vocab_size + 1)
        self.prior = Prior(prior, size, xp)

    def with_prior(self, counts: np.ndarray | None) -> "HashedCleanup":
        """The same codebook with another prior."""
        other = copy(self)
        other.prior = Prior(counts, self.config.vocab_size + 1, self.xp)
        return other

    def rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int = 1) -> Candidates:
        """Rank tokens by log-odds.

        Args:
            reads: (n, L, d) int32, what each layer's window read.
            filled: (n, L) bool; the layers of a context that count, a prefix of each row.
            top_k: tokens to return.

        The shortlist is the top of sum_l r_l O^T / s_l^2 + d^2 log p, rounded to whole steps; scores and log-odds of
        what is on it come from exact integer sums, in float64. On the CPU it is found by tables, or for a
        few queries in packed codes: docs/decisions/0011. Either way it is the same, whoever else is asked. It has
        twice `top_k`, as what log-odds take from partial matches ranks it anew.
        """
        keep = max(2 * top_k, self.shortlist)
        rows = max(1, SCORES_AT_ONCE // len(self.codebook))
        rows -= rows % AT_ONCE if rows > AT_ONCE else 0
        parts = [
            self._rank(reads[i : i + rows], filled[i : i + rows], keep=min(keep, len(self.codebook)), top_k=top_k)
            for i in range(0, len(reads), rows)
        ]
        return joined(parts, filled.shape[1], top_k)

    def several(self, reads: np.ndarray, filled: np.ndarray, count: int) -> Candidates:
        """The tokens that follow each context, by matching pursuit; see pursuit.py."""
        return pursue(self, reads, filled, count=count)

    def is_best(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Whether `tokens` are ranked first; see Cleanup."""
        return np.asarray(self.rank(reads, filled).tokens[:, 0] == tokens)

    def _rank(self, reads: np.ndarray, filled: np.ndarray, *, keep: int, top_k: int) -> Candidates:
        here = to_device(reads, self.xp)
        pooled = self._pooled(here, self._precision(here, to_device(filled, self.xp)))
        on_cpu = self._by_planes if len(pooled) <= _FEW else self._by_tables
        listed = (on_cpu if self.xp is np else self._by_product)(*self.in_steps(pooled), keep)
        # rising ids, so that equal log-odds are ranked the same everywhere
        found = self.score(here, filled, listed)
        order = np.argsort(-found.log_odds, axis=1, kind="stable")[:, :top_k]
        return Candidates(
            np.take_along_axis(found.tokens, order, axis=1),
            np.take_along_axis(found.log_odds, order, axis=1),
            np.take_along_axis(found.layer_scores, order[:, :, None], axis=1),
        )

    @staticmethod
    def _pooled(reads: Array, precision: Array) -> Array:
        """sum_l r_l / s_l^2, (n, d) float64, added up in order of the layers: the same bits everywhere."""
        pooled = reads[:, 0] * precision[:, :1]
        for layer in range(1, reads.shape[1]):
            pooled = pooled + reads[:, layer] * precision[:, layer : layer + 1]
        return pooled

    def in_steps(self, pooled: Array) -> tuple[Array, Array]:
        """(n, d) float64 in whole steps, float32, of a 2047th of each one's largest entry, so that products with signs
        are exact; or of more, if the prior would else be beyond 2^22 steps. And (n, 1) steps of a unit of log p."""
        xp, area = self.xp, float(self.config.inner_dim**2)
        largest = xp.maximum(xp.abs(pooled).max(axis=1, keepdims=True), 1e-30)
        scale = self.prior.limit(_STEPS / largest * area)
        return xp.rint(pooled * (scale / area)).astype(xp.float32), scale

    def _by_product(self, sought: Array, scale: Array, keep: int) -> Array:
        """(n, keep): the best columns of sought O^T and the prior, rising; sought (n, d) is of whole numbers."""
        size = len(self.codebook)
        scores = sought @ self._padded.T
        if self.prior.spread:
            scores[:, :size] += self.prior.steps(scale)
        return best_whole(scores, size, keep)

    def _by_tables(self, sought: np.ndarray, scale: np.ndarray, keep: int) -> np.ndarray:
        """The same columns; by the product only where tables cannot tell, as among many equal scores."""
        terms = self.prior.terms(scale)
        found, sure = best_codes(sought, self._packed, keep=keep, width=keep + _SPARE, terms=terms)
        listed = np.empty((len(sought), keep), np.int64)
        if sure.any():
            some = found[sure, : (found >= 0).sum(axis=1).max()]
            scores = np.einsum("nkd,nd->nk", self.codebook[some], sought[sure])  # exact, as the product is
            scores += self.prior.steps(scale[sure], some)
            scores[some < 0] = -(2.0**24)
            listed[sure] = np.sort(first_columns(scores, some, keep), axis=1)
        if not sure.all():
            listed[~sure] = self._by_product(sought[~sure], scale[~sure], keep)
        return listed

    def _by_planes(self, sought: np.ndarray, scale: np.ndarray, keep: int) -> np.ndarray:
        """The same columns of a few rows: what may be among the best by sign planes of a few bits, which are wrong by
        at most what rounding took from a row, is multiplied out; a product would read the codebook as floats."""
        from memo_dist.kernels.planes import read_planes

        count, size = len(sought), len(self.codebook)
        planes, weights = sign_planes(sought, _FEW_BITS), 2 ** np.arange(_FEW_BITS)
        parts = np.empty((count * _FEW_BITS, size), np.int32)
        read_planes(self._packed[None, None], np.zeros(len(parts), np.int64), planes.reshape(len(parts), -1), parts)
        step = np.abs(sought).max(axis=1, keepdims=True) / 2**_FEW_BITS
        levels = signs(planes.reshape(len(parts), -1)).reshape(count, _FEW_BITS, -1)
        rounded = step * np.einsum("npd,p->nd", levels, weights)
        scores = np.full((count, len(self._padded)), -np.inf)
        scores[:, :size] = step * np.einsum("npv,p->nv", parts.reshape(count, _FEW_BITS, size), weights)
        if self.prior.spread:
            scores[:, :size] += self.prior.steps(scale)
        error = np.abs(sought - rounded).sum(axis=1) + 1  # and what floats round
        blocks = scores.reshape(count, -1, BLOCK).max(axis=2)
        few = min(keep, blocks.shape[1])
        least = np.partition(blocks, -few, axis=1)[:, -few] if keep <= blocks.shape[1] else np.full(count, -np.inf)
        listed = np.empty((count, keep), np.int64)
        for row in range(count):
            some = np.flatnonzero(scores[row, :size] >= least[row] - 2 * error[row])
            exact = self.codebook[some] @ sought[row] + self.prior.steps(scale[row : row + 1], some[None])[0]
            listed[row] = np.sort(first_columns(exact[None], some[None], keep)[0])
        return listed

    def score(self, reads: Array, filled: np.ndarray, tokens: Array) -> Candidates:
        """Score given tokens (n, k), in the order given."""
        scores, alone = self._scores(reads, filled, tokens)
        evidence = np.cumsum(alone, axis=2)
        total = evidence[:, :, -1]  # unfilled layers have precision 0 and add nothing
        log_p = self.prior.log_p[to_host(tokens)]
        # a partial match stops before the longest filled layer
        partial = np.where(_before_last(filled)[:, None, :], evidence + log_p[:, :, None], -np.inf)
        rivals = np.concatenate([np.zeros((*total.shape, 1)), partial], axis=2)
        return Candidates(to_host(tokens), total + log_p - log_sum_exp(rivals), scores)

    def evidence(self, reads: Array, filled: np.ndarray, tokens: Array) -> np.ndarray:
        """(n, k, L): each layer's own log-likelihood ratio that it holds given tokens (n, k); 0 where not filled."""
        return self._scores(reads, filled, tokens)[1]

    def _scores(self, reads: Array, filled: np.ndarray, tokens: Array) -> tuple[np.ndarray, np.ndarray]:
        """z_l(v) and (z_l(v) - 1/2) / s_l^2, both (n, k, L) and 0 for layers not filled."""
        xp = self.xp
        here, listed = to_device(reads, xp), to_device(tokens, xp)
        codes = self.codebook[listed].astype(xp.float64)
        scores = to_host(xp.matmul(codes, here.astype(xp.float64).transpose(0, 2, 1))) / self.config.inner_dim**2
        scores *= filled[:, None, :]
        precision = to_host(self._precision(here, to_device(filled, xp)))
        return scores, (scores - 0.5) * precision[:, None, :]

    def _precision(self, reads: Array, filled: Array) -> Array:
        """1 / s_l^2, (n, L); 0 for layers not filled. An empty bank counts as the noise of one association."""
        xp, dim = self.xp, self.config.inner_dim
        wide = reads.astype(xp.int64)
        energy = (wide * wide).sum(axis=2)
        return filled.astype(xp.float64) / xp.maximum(energy / float(dim**4), 1 / dim**2)


def _before_last(filled: np.ndarray) -> np.ndarray:
    """(n, L) bool: filled layers other than the longest filled one."""
    return np.asarray(filled & (np.arange(filled.shape[1])[None, :] < filled.sum(axis=1)[:, None] - 1))
