"""Answerer: an opened memory that answers asks, in plain Python.

Covers: opening, answering different kinds of ask together. Does not cover: how one kind is answered
(openai/completing.py, endpoints/trace.py), whoever serves it, HTTP (app.py).
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memo_dist.errors import ConfigError, MemoError, ReplacedError
from memo_dist.files.opened import OpenMemory
from memo_dist.http.asks import Ask
from memo_dist.http.following import FollowedMemory
from memo_dist.models.cues import Reader
from memo_dist.recalling.session import Session
from memo_dist.tokenizer import Tokenizer

_PATIENCE_SECONDS = 10.0  # with which a memory that was replaced is waited for
_AGAIN_SECONDS = 0.5
_log = logging.getLogger("memo_dist.serve")


class Answerer:
    """Opens a memory and answers, from its newest generation.

    Args:
        path: what the memory is called. most_tokens: the longest prompt, in tokens; longer prompts are refused.
        memory: gives the memory as it is now, the same object until it has changed; None: the directory `path`.

    Attributes:
        session: asks the memory, as it was when something was last answered. digest: of it.

    Raises:
        DamagedMemoryError: the memory is not whole. ConfigError: it cannot be served: no tokenizer, or preset paper.
    """

    def __init__(self, path: Path, most_tokens: int, memory: Callable[[], OpenMemory] | None = None) -> None:
        self._path, self.most_tokens = path, most_tokens
        self._now = memory or FollowedMemory(path)
        self._memory = self._now()
        self.session, self.digest = servable(path, self._memory, self._memory.tokenizer), self._memory.manifest.digest

    def answer(self, asks: Sequence[Ask]) -> list[Any]:
        """One answer, or a Refusal, for each ask, in order; asks of one kind are answered together.

        Raises:
            ReplacedError: the memory was replaced meanwhile, and its newer generation is not there to be asked.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._follow()
            try:
                return self._answered(asks)
            except ReplacedError:
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _answered(self, asks: Sequence[Ask]) -> list[Any]:
        answers: dict[int, Any] = {}
        kinds: list[type[Ask]] = list(dict.fromkeys(type(ask) for ask in asks))
        for kind in kinds:
            places = [place for place, ask in enumerate(asks) if type(ask) is kind]
            answers.update(zip(places, kind.answered(self, [asks[place] for place in places]), strict=True))
        return [answers[place] for place in range(len(asks))]

    def _follow(self) -> None:
        """Ask the memory as it is now, if that can be served."""
        memory = self._now()
        if memory is self._memory:
            return
        self._memory = memory
        try:
            self.session, self.digest = servable(self._path, memory, memory.tokenizer), memory.manifest.digest
        except MemoError as error:
            _log.warning("the memory has changed, and what it is now cannot be served; the old goes on: %s", error)


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
