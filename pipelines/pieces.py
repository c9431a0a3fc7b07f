"""Pieces: where long texts are cut before they are tokenized.

Covers: the canonical cut of a text into pieces, and of spans at multiples of it. Does not cover: tokens (joining.py).

A text longer than PIECE bytes is tokenized piece by piece, cut at the first line end after each multiple of PIECE (or
the first character boundary where no line ends within SLACK bytes); the tokens are joined near the cuts (seams.py).
Cuts depend on the text alone, so a document has the same tokens in whatever file, split or format it comes.
"""

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


def piece_count(size: int) -> int:
    """How many pieces a text of `size` bytes has at most: where its last cut would be its end, the last has no text."""
    return max(1, -(-size // PIECE))


def multiple_below(size: int) -> int:
    """The largest multiple of PIECE that is not above `size`, at least one PIECE."""
    return max(PIECE, size // PIECE * PIECE)
