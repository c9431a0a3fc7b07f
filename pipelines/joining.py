"""Joining: the tokens of a long text, made piece by piece, as if it were tokenized as a whole.

Covers: tokens of runs of pieces, where they begin, the tokens before them. Does not cover: seams (seams.py), cuts
(pieces.py), batches (batching.py).

The tokens of a piece lie between the seams at its cuts (seams.py); it is tokenized with the text around it that makes
it fall into step. Should it not on one side, its text is cut there. Both follow from the text alone, so a piece has the
same tokens in whatever split, file or format, and they are those of the text tokenized as a whole, except where
seams.py finds no boundary near a cut. Memory is bounded by a few pieces, whatever the text.
"""

from collections.abc import Iterator

import numpy as np

from memo_dist.segments import NO_TOKENS
from memo_dist.tokenizer import Tokenizer
from pipelines import pieces
from pipelines.long_text import LongText
from pipelines.seams import Seam, cut_at, find_seam

_TOGETHER = 4  # pieces tokenized in one call
_BYTES_OF_A_TOKEN = 16  # of text before a piece that are tokenized for each token wanted; it mostly takes a quarter


class JoinedTokens:
    """The tokens of a long text by piece.

    Args:
        text: the document.
        tokenizer: gives the tokens.
    """

    def __init__(self, text: LongText, tokenizer: Tokenizer) -> None:
        self._text, self._tokenizer = text, tokenizer
        self._seams: dict[int, Seam] = {}

    def start(self, piece: int) -> int:
        """The byte of the text at which the tokens of a piece begin."""
        return self._seam(piece).place

    def tokens(self, first: int, last: int) -> np.ndarray:
        """The tokens of pieces [first, last), (n,) uint32."""
        return np.concatenate([NO_TOKENS, *self._runs(first, last)])

    def before(self, piece: int, count: int) -> np.ndarray:
        """The last `count` tokens before a piece, or all there are."""
        if piece <= 0 or not count:
            return NO_TOKENS
        near = self._near_end(piece - 1, count * _BYTES_OF_A_TOKEN)
        if len(near) >= count:
            return near[len(near) - count :]
        found: list[np.ndarray] = []
        while piece > 0 and sum(map(len, found)) < count:
            piece -= 1
            found.insert(0, self.tokens(piece, piece + 1))
        tokens = np.concatenate([NO_TOKENS, *found])
        return tokens[max(0, len(tokens) - count) :]

    def _near_end(self, piece: int, reach: int) -> np.ndarray:
        """The tokens of about so many last bytes of a piece, or none: from a seam within it, which spares the rest."""
        begin, right = self._text.edge(piece) + pieces.PIECE // 4, self._seam(piece + 1)
        near = right.place - reach
        left = find_seam(self._text, self._text.boundary(near), self._tokenizer) if near > begin else cut_at(begin)
        if not len(left.first) or not begin < left.place < right.place:  # none, or the piece's own may lie behind it
            return NO_TOKENS
        ids = self._encoded(left, right)
        return ids[left.skipped : len(ids) - right.left] if _in_step(left, right, ids) else NO_TOKENS

    def _runs(self, first: int, last: int) -> Iterator[np.ndarray]:
        for begin in range(first, last, _TOGETHER):
            sides = [(self._seam(i), self._seam(i + 1)) for i in range(begin, min(last, begin + _TOGETHER))]
            encoded = self._tokenizer.encode([self._text.text(left.begin, right.stop) for left, right in sides])
            for (left, right), ids in zip(sides, encoded, strict=True):
                yield self._between(left, right, ids)

    def _between(self, left: Seam, right: Seam, ids: np.ndarray) -> np.ndarray:
        """The tokens between two seams, of the ids of the text around them."""
        if _in_step(left, right, ids):
            return ids[left.skipped : len(ids) - right.left]
        for one, other in ((left, cut_at(right.place)), (cut_at(left.place), right)):
            ids = self._encoded(one, other)
            if _in_step(one, other, ids):
                return ids[one.skipped : len(ids) - other.left]
        return self._encoded(cut_at(left.place), cut_at(right.place))

    def _encoded(self, left: Seam, right: Seam) -> np.ndarray:
        return self._tokenizer.encode([self._text.text(left.begin, right.stop)])[0]

    def _seam(self, piece: int) -> Seam:
        if piece not in self._seams:
            self._seams[piece] = find_seam(self._text, self._text.edge(piece), self._tokenizer)
        return self._seams[piece]


def _in_step(left: Seam, right: Seam, ids: np.ndarray) -> bool:
    """Whether ids of the text from one seam's begin to another one's stop agree with what was found at both."""
    begins = np.array_equal(ids[: len(left.first)], left.first)
    ends = np.array_equal(ids[len(ids) - len(right.last) :], right.last)
    return begins and ends and left.skipped + right.left <= len(ids)
