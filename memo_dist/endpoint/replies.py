"""Replies: the JSON in what a language model says.

Covers: thoughts and fences around it, the outermost object or list, texts in it. Does not cover: what it has to hold
(the steps of memo_dist/reflect and the stages of memo_dist/executive say that).
"""

from typing import Any

from memo_dist.json_text import parse_json

_THOUGHT_ENDS = "</think>"


def reply_object(text: str) -> dict[str, Any]:
    """The object of a reply: what stands between its first brace and its last.

    Raises:
        ValueError: there is none.
    """
    said = text.rpartition(_THOUGHT_ENDS)[2]
    first, last = said.find("{"), said.rfind("}")
    if first < 0 or last < first:
        raise ValueError("the reply holds no JSON object")
    found = parse_json(said[first : last + 1])
    if not isinstance(found, dict):
        raise ValueError("the reply holds no JSON object")
    return found


def listed(reply: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a reply's list.

    Raises:
        ValueError: it is absent, no list, or holds something else.
    """
    found = reply.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"the reply's {name!r} is no list of objects")
    return found


def text_in(row: dict[str, Any], name: str) -> str:
    """A text of an object, without white space around it; a number counts as its digits.

    Raises:
        ValueError: it is absent, empty, no text, or not text that UTF-8 can spell.
    """
    found = row.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"{name!r} is {found!r}; expected a text")
    found.encode()  # half a surrogate pair, which JSON can spell, is a UnicodeEncodeError, which is a ValueError
    return found.strip()


def texts_in(row: dict[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a list that may be absent; what is no text in it is left out."""
    found = row.get(name)
    kept = [one.strip() for one in found if isinstance(one, str) and one.strip()] if isinstance(found, list) else []
    return tuple(one for one in kept if _is_unicode(one))


def truth_in(row: dict[str, Any], name: str) -> bool:
    """A truth of an object; absent: false.

    Raises:
        ValueError: it is something else.
    """
    found = row.get(name, False)
    if not isinstance(found, bool):
        raise ValueError(f"{name!r} is {found!r}; expected true or false")
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
