"""Overlap: what is recalled goes on exactly where a prompt stops, though letters and white space may differ before it.

Covers: recalling/overlap.py. Does not cover: which end is taken away (test_session.py).
"""

import pytest

from memo_dist.recalling.overlap import after


@pytest.mark.parametrize(
    ("text", "owed", "found"),
    [
        ("brown fox", "brow", ("n fox", "")),
        ("Brown\n  fox", "brown f", ("ox", "")),
        ("\n    return", "\n  ", ("  return", "")),  # some of the indentation is typed
        ("\n    return", " ", ("return", "")),  # another white space stands for all of it
        ("bro", "brown", ("", "wn")),
        ("black", "brown", None),
    ],
)
def test_what_comes_after(text: str, owed: str, found: tuple[str, str] | None) -> None:
    assert after(text, owed) == found
