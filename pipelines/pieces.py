"""Pieces: where long texts are cut before they are tokenized.

Covers: the canonical cut of a text into pieces, and of spans at multiples of it. Does not cover: tokens (batching.py).

A text longer than PIECE bytes is tokenized piece by piece, cut at the first line end after each multiple of PIECE (or
the first character boundary where no line ends within SLACK bytes). Cuts depend on the text alone, so a document has
the same tokens in whatever file, unit or format it comes.
"""

import itertools

PIECE = 1 << 18  # bytes
SLACK = 1 << 12  # bytes that a cut may move to meet a line end


def piece_cuts(data: bytes, first: int, size: int) -> list[int]:
    """Where a text of `size` bytes is cut, as far as `data`, its bytes from offset `first`, shows."""
    cuts = []
    for multiple in range(-(-max(first, 1) // PIECE) * PIECE, min(size, first + len(data)), PIECE):
        window = data[multiple - first : multiple - first + SLACK]
        line_end = window.find(b"\n")
        boundary = next((i for i, byte in enumerate(window[:4]) if byte & 0xC0 != 0x80), len(window))
        cut = multiple + (line_end + 1 if line_end >= 0 else boundary)
        if 0 < cut < size:
            cuts.append(cut)
    return cuts


def texts_between(data: bytes, edges: list[int], errors: str = "strict") -> list[str]:
    """The texts between neighbouring edges, which are offsets in `data`; `errors` as for `bytes.decode`."""
    return [data[start:stop].decode(errors=errors) for start, stop in itertools.pairwise(edges)]


def whole_pieces(data: bytes) -> list[str]:
    """All pieces of a whole text, given as UTF-8."""
    return texts_between(data, [0, *piece_cuts(data, 0, len(data)), len(data)])


def multiple_below(size: int) -> int:
    """The largest multiple of PIECE that is not above `size`, at least one PIECE."""
    return max(PIECE, size // PIECE * PIECE)


def multiple_before(start: int, count: int) -> int:
    """A multiple of PIECE from which on there are `count` whole pieces before the cut `start`; 0 if there are fewer."""
    return max(0, (start // PIECE - count - 1) * PIECE)
