"""Page: a traced text with its held passages marked, as pieces or, for notebooks, as HTML.

Covers: shades, pieces. Does not cover: finding the passages (trace.py), terminals, pages of their own (memo_dist/page).
"""

import html
import itertools

import numpy as np

from memo_dist.recalling.trace import TracedText

_SHADES = ("#fff9db", "#fff3bf", "#ffd8a8", "#ffc078", "#ff8787")  # by the window that matched, shortest first


def marked_pieces(traced: TracedText) -> list[tuple[str, int, str]]:
    """The whole text in pieces: (text, longest window that matched, shade); window 0 and "" where nothing is held."""
    marks, windows = _marks(traced), traced.memory_windows
    shade = np.zeros(len(traced.text) + 1, np.int64)
    for (start, stop), mark in zip(traced.places, marks.tolist(), strict=True):
        shade[start:stop] = mark
    edges = [0, *(np.flatnonzero(np.diff(shade[:-1])) + 1).tolist(), len(traced.text)]
    pieces = []
    for start, stop in itertools.pairwise(edges):
        if start < stop:
            mark = int(shade[start])
            window = windows[min(mark, len(windows)) - 1] if mark else 0
            pieces.append((traced.text[start:stop], window, _SHADES[min(mark, len(_SHADES)) - 1] if mark else ""))
    return pieces


def _marks(traced: TracedText) -> np.ndarray:
    """0 for tokens that are not held, else 1 + the index of the longest window that matched, but 1 at least."""
    longest = np.searchsorted(np.array(traced.memory_windows), traced.found.windows, side="right")
    return np.where(traced.found.held, np.maximum(longest, 1), 0)


def marked_html(traced: TracedText) -> str:
    """The whole text, its passages shaded."""
    body = [
        f'<mark style="background:{shade}" title="{window} units and the next token">{html.escape(text)}</mark>'
        if shade
        else html.escape(text)
        for text, window, shade in marked_pieces(traced)
    ]
    return f"<pre style='white-space:pre-wrap'>{''.join(body)}</pre>"
