"""Splits: the pieces of input that one task reads.

Covers: spans of sources, splits of spans, their ids, how the bytes of a source's documents lie. Does not cover: where
spans are cut (formats/), packing spans into splits (plan.py).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.sources import Source

OPEN = 1 << 62
"""Where a span stops that goes to the end of its source, wherever that is."""


@dataclass(frozen=True)
class Marks:
    """How the bytes of a source's documents lie; 16 bytes for each run of documents.

    Attributes:
        places: (n + 1,) int64, in bytes or rows: run i is the documents that begin in [places[i], places[i + 1]).
        sizes: (n,) int64, the bytes of a run's documents.
    """

    places: np.ndarray
    sizes: np.ndarray

    def bytes_between(self, start: int, stop: int) -> int:
        """Bytes of the documents that begin in [start, stop), those of runs that are in it in part among them."""
        first = max(0, int(np.searchsorted(self.places, start, "right")) - 1)
        last = int(np.searchsorted(self.places, stop, "left"))
        return int(self.sizes[first:last].sum()) if start < stop else 0

    def even(self, start: int, stop: int, *, target: int) -> list[int]:
        """Where [start, stop) is cut, ends included: at runs, and as soon as a part has `target` bytes."""
        cuts, before = [start], 0
        for place, size in zip(self.places[1:].tolist(), self.sizes.tolist(), strict=True):
            if place <= start:
                continue
            before += size
            if before >= target and place < stop:
                cuts.append(place)
                before = 0
        return [*cuts, stop]


@dataclass(frozen=True)
class Span:
    """Part of a source: [start, stop) in bytes or rows, as the source's format counts.

    Attributes:
        start, stop: bytes of text (multiples of PIECE), bytes of jsonl (the lines that begin there), or rows.
        whole_utf8: False if the document is not UTF-8 somewhere, perhaps in another span.
        bytes: those of its documents, where they may be more than its share of the source; None: its share.
        marks: of the source, until the span is cut.
    """

    source: Source
    start: int
    stop: int
    whole_utf8: bool = True
    bytes: int | None = field(default=None, compare=False)
    marks: Marks | None = field(default=None, compare=False, repr=False)

    def describe(self) -> str:
        if self.stop == OPEN:
            return f"{self.source.name} from byte {self.start} on"
        split = "rows" if self.source.rows else "bytes"
        return f"{self.source.name} {split} {self.start}-{self.stop}"


@dataclass(frozen=True)
class Split:
    """What one task reads, and makes one batch of; or, of a stream, many.

    Attributes:
        spans: in the order of the corpus.
        operation: tells two uses of the same text apart; "" for a build.
        step: 0; of a stream, the bytes of its one span that a batch is made of.
    """

    spans: Sequence[Span]
    operation: str = ""
    step: int = 0

    def part(self, number: int) -> "Split":
        """What a batch of a stream is made of: batches are numbered from 0, and reading shows how many there are."""
        start = number * self.step
        span = replace(self.spans[0], start=start, stop=start + self.step, bytes=None)
        return Split((span,), self.operation)

    @property
    def batch_id(self) -> str:
        """Hash of the spans' names, formats and ranges, of the sources' sizes, and of the operation."""
        words = [f"{span.source.format}\0{span.describe()}\0{span.source.size}" for span in self.spans]
        words += [self.operation] if self.operation else []
        return hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest()

    def describe(self) -> str:
        more = f" and {len(self.spans) - 1} more" if len(self.spans) > 1 else ""
        return self.spans[0].describe() + more
