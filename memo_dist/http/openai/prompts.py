"""Prompts of a request, looked through before anything else: what is wrong is named by its place.

Covers: texts, token ids, lists of either, as JSON gives them. Does not cover: what a memory can be asked
(recalling/questions.py), other fields (bodies.py).
"""

from typing import Any

_MOST = (1 << 32) - 1
_EXPECTED = "expected a text, a list of texts, token ids, or a list of lists of token ids"


def checked_prompt(prompt: Any) -> Any:
    """The prompt as it is.

    Raises:
        ValueError: it is no prompt, or one of its elements is none; that element is named, and what was expected.
    """
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list):
        raise ValueError(f"prompt is {_told(prompt)}; {_EXPECTED}")
    if not prompt:
        raise ValueError(f"prompt is an empty list; {_EXPECTED}")
    first = prompt[0]
    if isinstance(first, str):
        for place, one in enumerate(prompt):
            if not isinstance(one, str):
                raise ValueError(f"prompt[{place}] is {_told(one)}; expected a text, as prompt[0] is one")
    elif isinstance(first, list):
        for place, one in enumerate(prompt):
            if not isinstance(one, list):
                raise ValueError(f"prompt[{place}] is {_told(one)}; expected a list of token ids, as prompt[0] is one")
            _require_ids(one, f"prompt[{place}]")
    else:
        _require_ids(prompt, "prompt")
    return prompt


def _require_ids(ids: list[Any], name: str) -> None:
    for place, one in enumerate(ids):
        if type(one) is not int or not 0 <= one <= _MOST:
            raise ValueError(f"{name}[{place}] is {_told(one)}; expected a token id, a whole number from 0 up")


def _told(value: Any) -> str:
    """A value in a few words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"the number {str(value)[:20]}"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
