"""Segments: runs of documents' tokens.

Covers: Segment. Does not cover: how encoders lay them end to end (models/text/lines.py, models/paper/lines.py).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

NO_TOKENS = np.zeros(0, np.uint32)  # the context of a segment that begins its document


class Origin(NamedTuple):
    """Where a document was read.

    Attributes:
        source: the file or URL, as the command named it; "" if it was given in memory.
        position: where the document begins in its source, 0 if it is the whole of it.
        position_in: what `position` counts: "bytes" (of the decompressed file) or "rows".
    """

    source: str = ""
    position: int = 0
    position_in: str = "bytes"


NOWHERE = Origin()


@dataclass(frozen=True)
class Segment:
    """A run of one document's tokens.

    Attributes:
        start: where the run begins in its document, 0 for the beginning; bytes of text for files.
        context: the `config.context_length` tokens before the run, or all there are if the document has fewer.
        tokens: the run.
        ends: the document's last token is in it, so "end of document" is memorized after it.
        owner: the low 32 bits of its document's key (documents.py), which anchors name.
        stop: where the run stops, counted as `start` is: where the next one of the document starts. None: `start` and
            the number of tokens.
        origin: where the document was read.
    """

    start: int
    context: np.ndarray
    tokens: np.ndarray
    ends: bool
    owner: int = 0
    stop: int | None = None
    origin: Origin = NOWHERE

    @property
    def next_start(self) -> int:
        """Where the next run of the document starts."""
        return self.start + len(self.tokens) if self.stop is None else self.stop
