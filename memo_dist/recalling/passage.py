"""Passage: a part of a traced text that a memory holds.

Covers: what is told of one. Does not cover: finding passages (trace.py).
"""

from dataclasses import dataclass

from memo_dist.result import Result


@dataclass(frozen=True)
class Passage(Result):
    """A passage of a traced text that is held.

    Attributes:
        start, stop: characters of the traced text.
        documents: ids of those that it stands in, eight at most. num_documents: how many they are.
    """

    text: str
    start: int
    stop: int
    documents: list[str]
    num_documents: int
