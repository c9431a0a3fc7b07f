"""Reading: how documents are read, and what reading found.

Covers: passages, the UTF-8 policy, ids of rows, counters of a unit. Does not cover: how a file holds its documents
(formats/), where texts are cut (pieces.py), tokens (batching.py).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memo_dist.errors import InputError
from pipelines.pieces import multiple_before, piece_cuts, texts_between, whole_pieces
from pipelines.sources import Source

ERROR_POLICIES = ("strict", "replace", "skip")


@dataclass(frozen=True)
class Passage:
    """Consecutive pieces of one document, or the token ids of a whole one.

    Attributes:
        document_id: what the memory calls the document.
        start: the byte of the document's text at which the passage begins.
        pieces: texts, in order; none for a document of token ids.
        ends: whether the document ends with this passage.
        source: the file of the text, where pieces of it precede the passage; None for a whole document.
        ids: (n,) token ids of a document that is tokenized already; None for text.
    """

    document_id: str
    start: int
    pieces: list[str]
    ends: bool
    source: Source | None = None
    ids: np.ndarray | None = None


@dataclass
class Reading:
    """How to read, and what reading found.

    Attributes:
        errors: strict (an invalid document is an error), replace (by U+FFFD) or skip (the document).
        text_key, id_key: the fields of a row. Without the id key in a row, its place is its id.
        skipped, replaced, empty: numbers of documents.
        consumed: bytes of source read so far, in the units of CorpusPlan.text_bytes.
        content: hash of what was read.
    """

    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    skipped: int = 0
    replaced: int = 0
    empty: int = 0
    consumed: int = 0
    content: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

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
                self.skipped += 1
                return None
            self.replaced += 1
            return data.decode(errors="replace")

    def whole_documents(self, rows: Iterable[tuple[str, bytes]], source: Source) -> Iterator[Passage]:
        """One passage for each (document id, text) row of a source. Empty documents are counted and left out.

        Raises:
            InputError: a document is not UTF-8, and the policy is strict.
        """
        for document_id, data in rows:
            text = self.decoded(document_id, data, source)
            if text == "":
                self.empty += 1
            elif text is not None:
                yield Passage(document_id, 0, whole_pieces(text.encode()), ends=True)


def preceding_pieces(passage: Passage, count: int) -> list[str]:
    """Up to `count` pieces of the document before a passage; fewer where the document begins."""
    if passage.source is None or not passage.start:
        return []
    first = multiple_before(passage.start, count)
    data = passage.source.read(first, passage.start)
    cuts = [cut for cut in piece_cuts(data, first, passage.source.size) if cut < passage.start]
    edges = [*([0] if not first else []), *cuts, passage.start]
    return texts_between(data, [edge - first for edge in edges], "replace")[-count:]


def row_id(value: object, place: str) -> str:
    """The id that a row gives, or else its place in the file; characters in it that are not UTF-8 are spelled out."""
    return place if value is None else str(value).encode("utf-8", "backslashreplace").decode()
