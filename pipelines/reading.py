"""Reading: how documents are read, and what reading found.

Covers: passages, the UTF-8 policy, ids of rows, counters of a split. Does not cover: how a file holds its documents
(formats/), where texts are cut (pieces.py), tokens (batching.py, joining.py).
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memo_dist.batches import Reject
from memo_dist.errors import InputError
from memo_dist.segments import NOWHERE, Origin
from pipelines import pieces
from pipelines.long_text import LongText
from pipelines.sources import Source

ERROR_POLICIES = ("strict", "replace", "skip")
MOST_NAMED = 100
"""Documents left out that a split names; all are counted."""


@dataclass(frozen=True)
class Passage:
    """Consecutive pieces of one document, or the token ids of a whole one.

    Attributes:
        document_id: what the memory calls the document.
        text: the document's text; empty for a document of token ids.
        first, last: the passage is pieces [first, last) of it.
        ids: (n,) token ids of a document that is tokenized already; None for text.
        origin: where the document was read.
    """

    document_id: str
    text: LongText
    first: int = 0
    last: int = 1
    ids: np.ndarray | None = None
    origin: Origin = NOWHERE

    @property
    def start(self) -> int:
        """The byte of the document's text at which the passage begins."""
        return self.text.edge(self.first)

    @property
    def ends(self) -> bool:
        """Whether the document ends with this passage."""
        return self.text.edge(self.last) == self.text.size

    @property
    def is_one_piece(self) -> bool:
        """Whether the passage is a whole document that is not cut."""
        return self.first == 0 and self.last == 1 and self.ends

    def pieces(self) -> Iterator[str]:
        """The texts of its pieces, in order; none of a document of token ids."""
        edges = [self.text.edge(piece) for piece in range(self.first, self.last + 1)]
        return (self.text.text(start, stop) for start, stop in itertools.pairwise(edges) if start < stop)


@dataclass
class Reading:
    """How to read, and what reading found.

    Attributes:
        errors: strict (an invalid document is an error), replace (by U+FFFD) or skip (the document).
        text_key, id_key: the fields of a row, by dots inside others. Without the id key in a row, its place is its id.
        skipped, replaced, empty: numbers of documents.
        rejects: of those skipped, where the first MOST_NAMED stand, and why they were.
        consumed: bytes of source read so far, in the splits of CorpusPlan.text_bytes.
        content: hash of what was read.
    """

    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    skipped: int = 0
    replaced: int = 0
    empty: int = 0
    rejects: list[Reject] = field(default_factory=list)
    consumed: int = 0
    content: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def leave_out(self, place: str, reason: str) -> None:
        """Count a document that cannot be read, and name it."""
        self.skipped += 1
        if len(self.rejects) < MOST_NAMED:
            self.rejects.append((place, reason))

    def decoded(self, document_id: str, data: bytes, source: Source) -> str | None:
        """Text by the error policy; None for a document to leave out.

        Raises:
            InputError: the document is not UTF-8, and the policy is strict; document and file are named.
        """
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if self.errors == "strict":
                place = "" if document_id.startswith(source.name) else f" of {source.name}"
                raise InputError(
                    f"document {document_id}{place} is not valid UTF-8 ({error}); convert it, or choose --errors "
                    "replace or skip"
                ) from error
            if self.errors == "skip":
                self.leave_out(document_id, f"not valid UTF-8 ({error})")
                return None
            self.replaced += 1
            return data.decode(errors="replace")

    def whole_documents(
        self, rows: Iterable[tuple[str, bytes, int]], source: Source, *, position_in: str
    ) -> Iterator[Passage]:
        """One passage for each (document id, text, position) row of a source. Empty documents are counted and left out.

        Args:
            position_in: what positions count; see Origin.

        Raises:
            InputError: a document is not UTF-8, and the policy is strict.
        """
        for document_id, data, position in rows:
            text = self._text(document_id, data, source)
            del data  # of a long document there are several copies otherwise
            if text is not None:
                last, origin = pieces.piece_count(text.size), Origin(source.name, position, position_in)
                yield Passage(document_id, text, 0, last, origin=origin)

    def _text(self, document_id: str, data: bytes, source: Source) -> LongText | None:
        """A row's text by the error policy; None for a document to leave out, or without text."""
        replaced, text = self.replaced, self.decoded(document_id, data, source)
        if text == "":
            self.empty += 1
        if not text:
            return None
        return LongText(len(data), data) if self.replaced == replaced else LongText.of(text)


def row_id(value: object, place: str) -> str:
    """The id that a row gives, or else its place in the file; characters in it that are not UTF-8 are spelled out."""
    return place if value is None else str(value).encode("utf-8", "backslashreplace").decode()
