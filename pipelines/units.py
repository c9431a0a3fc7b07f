"""Units: the pieces of input that one task reads.

Covers: spans of sources, units of spans, their ids. Does not cover: where spans are cut (formats/), packing spans into
units (plan.py).
"""

import hashlib
from dataclasses import dataclass

from pipelines.sources import Source


@dataclass(frozen=True)
class Span:
    """Part of a source: [start, stop) in bytes or rows, as the source's format counts.

    Attributes:
        start, stop: bytes of text (multiples of PIECE), bytes of jsonl (the lines that begin there), or rows.
        whole_utf8: False if the document is not UTF-8 somewhere, perhaps in another span.
    """

    source: Source
    start: int
    stop: int
    whole_utf8: bool = True

    def describe(self) -> str:
        unit = "rows" if self.source.rows else "bytes"
        return f"{self.source.name} {unit} {self.start}-{self.stop}"


@dataclass(frozen=True)
class Unit:
    """What one task reads and makes one batch of.

    Attributes:
        spans: in the order of the corpus.
        operation: tells two uses of the same text apart; "" for a build.
    """

    spans: tuple[Span, ...]
    operation: str = ""

    @property
    def batch_id(self) -> str:
        """Hash of the spans' names, formats and ranges, of the sources' sizes, and of the operation."""
        words = [f"{span.source.format}\0{span.describe()}\0{span.source.size}" for span in self.spans]
        words += [self.operation] if self.operation else []
        return hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest()

    def describe(self) -> str:
        more = f" and {len(self.spans) - 1} more" if len(self.spans) > 1 else ""
        return self.spans[0].describe() + more
