"""Chunks: a document in parts that fit into a prompt.

Covers: cutting by words, the document's date. Does not cover: reading documents (pipelines/).
"""

import re
from dataclasses import dataclass

NO_DATE = "not known"
_DATE = re.compile(r"^\s*date:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Chunk:
    """A part of a document.

    Attributes:
        document: its id. text: of the part. date: of the document, from a line "date: ..." of it.
    """

    document: str
    text: str
    date: str = NO_DATE


def chunks_of(document: str, text: str, *, words: int, overlap: int) -> list[Chunk]:
    """Parts of at most `words` words, each of which begins with the last `overlap` of the one before.

    A document that fits is one part, as it is; a longer one is cut between words, with its white space as it is.
    """
    found = _DATE.search(text)
    date = found[1] if found else NO_DATE
    places = [match.span() for match in re.finditer(r"\S+", text)]
    if len(places) <= words:
        return [Chunk(document, text, date)] if places else []
    chunks = []
    for first in range(0, len(places) - overlap, words - overlap):
        some = places[first : first + words]
        chunks.append(Chunk(document, text[some[0][0] : some[-1][1]], date))
    return chunks
