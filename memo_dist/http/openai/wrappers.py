"""Wrappers: what programs write around a question, and the question in it.

Covers: the wrapper of the published executive of "MeMo: Memory as a Model", a bare question. Does not cover: messages
(chat_bodies.py).

That executive sends one message: a phrase that asks to answer and ends in a colon, the question up to an empty line,
and instructions that want strict JSON with "answer" and "reasoning". It is known by this shape, not by its words.
"""

import re
from dataclasses import dataclass

_LEAD = re.compile(r"\s*(?:please\s+)?answer\b[^:\n?]{0,60}:\s*(?P<question>.+?)\s*(?:\n\s*\n|\Z)", re.I | re.S)
_WANTS = ("json", '"answer"', '"reasoning"')


@dataclass(frozen=True)
class Wrapped:
    """A question as a message has it.

    Attributes:
        question: without its wrapper.
        wrapper: "executive", or "none".
        in_json: the reply is to be strict JSON, an object with "answer" and "reasoning".
    """

    question: str
    wrapper: str = "none"
    in_json: bool = False


def unwrapped(message: str) -> Wrapped:
    """The question of a message; a message in no wrapper that is known is one."""
    found = _LEAD.match(message)
    if found is not None:
        rest = message[found.end() :].casefold()
        if all(word in rest for word in _WANTS):
            return Wrapped(found["question"], "executive", in_json=True)
    return Wrapped(message.strip())
