"""Overlap: text that must be said again before anything new is.

Covers: comparing what is recalled with the end of a prompt that was taken away. Does not cover: taking it away
(exact_session.py).

A prompt that stops inside a word or a token is asked without its end, and what is recalled must begin with that end:
letters in any case, white space in any form.
"""


def after(text: str, owed: str) -> tuple[str, str] | None:
    """(what of `text` comes after `owed`, what of `owed` is still to come); None if `text` says something else."""
    i = j = 0
    while i < len(text) and j < len(owed):
        if text[i].isspace() and owed[j].isspace():
            said, asked = _past_space(text, i), _past_space(owed, j)
            goes_on = asked == len(owed) and text.startswith(owed[j:], i)  # an indentation, of which some is typed
            i, j = i + len(owed) - j if goes_on else said, asked
        elif text[i].casefold() == owed[j].casefold():
            i, j = i + 1, j + 1
        else:
            return None
    return text[i:], owed[j:]


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
