"""LongText: a document's text by byte offset, read from where it is as far as it is needed.

Covers: bytes of a document held or read on demand, whole characters between offsets, where its pieces lie. Does not
cover: tokens (joining.py), the rule of the cuts (pieces.py).
"""

from dataclasses import dataclass

from pipelines import pieces
from pipelines.sources import Source

_CONTINUED = 3  # bytes of a character after its first


@dataclass
class LongText:
    """The bytes of one document, as UTF-8 or nearly.

    Attributes:
        size: bytes of the document.
        data: its bytes from offset `first` on, as many as are held.
        source: the file that holds the others; None if all are held.
    """

    size: int
    data: bytes
    first: int = 0
    source: Source | None = None

    @classmethod
    def of(cls, text: str) -> "LongText":
        """A whole text that is in memory."""
        data = text.encode()
        return cls(len(data), data)

    def between(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), as far as the document has them.

        Raises:
            InputError: the file cannot be read, or became shorter.
        """
        start, stop = max(start, 0), min(stop, self.size)
        if start < self.first:
            assert self.source is not None
            self.data, self.first = self.source.read(start, self.first) + self.data, start
        if stop > (last := self.first + len(self.data)):
            assert self.source is not None
            self.data += self.source.read(last, stop)
        return self.data[start - self.first : stop - self.first]

    def text(self, start: int, stop: int) -> str:
        """The text of the bytes [start, stop), which are boundaries of characters; what is no UTF-8 shows as U+FFFD."""
        return self.between(start, stop).decode(errors="replace")

    def boundary(self, offset: int) -> int:
        """The first offset from this one on at which a character begins, or the end."""
        if offset <= 0:
            return 0
        near = self.between(offset, offset + _CONTINUED)
        return offset + next((i for i, byte in enumerate(near) if byte & 0xC0 != 0x80), len(near))

    def edge(self, index: int) -> int:
        """Where piece `index` begins; the end of the text for all that would begin behind it."""
        multiple = index * pieces.PIECE
        if multiple <= 0:
            return 0
        if multiple >= self.size:
            return self.size
        cuts = pieces.piece_cuts(self.between(multiple, multiple + pieces.SLACK), multiple, self.size)
        return cuts[0] if cuts else self.size


def bytes_of(data: bytes, characters: int) -> int:
    """How many bytes the first `characters` of a text are that was decoded, with replacement, from `data`."""
    taken = found = 0
    while found < characters:
        try:
            text, valid = data[taken:].decode(), len(data)
        except UnicodeDecodeError as error:
            text, valid = data[taken : taken + error.start].decode(), taken + error.end
        if found + len(text) >= characters:
            return taken + len(text[: characters - found].encode())
        found += len(text) + 1  # one U+FFFD
        taken = valid
    return taken
