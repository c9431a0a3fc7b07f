"""Lines: documents laid end to end, for the pass that keys them.

Covers: chunks of bounded size with the context that keys need. Does not cover: keys (keys.py, kernels/windows.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.text.config import TextConfig
from memo_dist.segments import Segment

BEGIN = -1  # in a line: a document begins
CUT = -2  # in a line: a piece begins within a document; what was before is not known
PART = -3  # in a line: as CUT, and its first unit may be the rest of one


@dataclass(frozen=True)
class Chunk:
    """Pieces of segments laid end to end.

    Attributes:
        line: (n,) int64 token ids; BEGIN before a document's first, CUT before a piece that begins within one.
        asked: (n,) bool: the places that are targets; the others are mere context.
        owners: (m,) uint32, of each place asked the low half of its document's key.
    """

    line: np.ndarray
    asked: np.ndarray
    owners: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """(m,) int64 the tokens at the places asked."""
        return np.asarray(self.line[self.asked])


def lay_out(segments: list[Segment], config: TextConfig, size: int) -> Iterator[Chunk]:
    """Lay segments end to end, in chunks of about `size` targets.

    Each piece is BEGIN or CUT, then up to `config.context_length` tokens of left context, then its targets.
    """
    reach = config.context_length
    lines: list[np.ndarray] = []
    places: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    held = 0
    for segment in segments:
        end = np.full(1 if segment.ends else 0, config.end_of_document, np.int64)
        text = np.concatenate([segment.context.astype(np.int64), segment.tokens.astype(np.int64), end])
        at = len(segment.context)
        while at < len(text):
            stop = min(len(text), at + size - held)
            left = max(0, at - reach)
            # a context shorter than it may be is all that its document has
            begins = left == 0 and len(segment.context) < reach
            asked = np.zeros(1 + stop - left, bool)
            asked[1 + at - left :] = True
            lines.append(np.concatenate([[BEGIN if begins else CUT], text[left:stop]]))
            places.append(asked)
            owners.append(np.full(stop - at, segment.owner, np.uint32))
            held += stop - at
            at = stop
            if held >= size:
                yield Chunk(*(np.concatenate(parts) for parts in (lines, places, owners)))
                lines, places, owners, held = [], [], [], 0
    if lines:
        yield Chunk(*(np.concatenate(parts) for parts in (lines, places, owners)))
