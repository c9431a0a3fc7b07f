"""Answerer: an opened memory that answers asks, in plain Python.

Covers: opening, answering different kinds of ask together. Does not cover: how one kind is answered
(openai/completing.py, endpoints/trace.py), whoever serves it, HTTP (app.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memo_dist.errors import ConfigError
from memo_dist.files.opened import open_memory
from memo_dist.http.asks import Ask
from memo_dist.models.cues import Reader
from memo_dist.recalling.session import Session
from memo_dist.tokenizer import Tokenizer


class Answerer:
    """Opens a memory and answers.

    Args:
        most_tokens: the longest prompt, in tokens; longer prompts are refused.

    Raises:
        DamagedMemoryError: the memory is not whole. ConfigError: it cannot be served: no tokenizer, or preset paper.
    """

    def __init__(self, path: Path, most_tokens: int) -> None:
        self._memory, self.most_tokens = open_memory(path), most_tokens
        self.session = servable(path, self._memory, self._memory.tokenizer)

    def answer(self, asks: Sequence[Ask]) -> list[Any]:
        """One answer, or a Refusal, for each ask, in order; asks of one kind are answered together."""
        answers: dict[int, Any] = {}
        kinds: list[type[Ask]] = list(dict.fromkeys(type(ask) for ask in asks))
        for kind in kinds:
            places = [place for place, ask in enumerate(asks) if type(ask) is kind]
            answers.update(zip(places, kind.answered(self, [asks[place] for place in places]), strict=True))
        return [answers[place] for place in range(len(asks))]


def servable(path: Path, memory: Reader, tokenizer: Tokenizer | None) -> Session:
    """The session of a memory that can be served.

    Raises:
        ConfigError: it cannot; the reason is told.
    """
    if tokenizer is None:
        raise ConfigError(f"{path} is a memory of bare token ids: there is no tokenizer to read prompts with")
    session = Session(memory, tokenizer)
    if memory.is_solved:
        return session
    try:
        _ = session.lookup.telling
    except ConfigError as error:
        raise ConfigError(f"{path} is a memory that cannot be served: {error}") from error
    return session
