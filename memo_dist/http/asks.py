"""Asks: what travels from the front to a replica, free of HTTP: a question that knows its weight and its answer.

Covers: the contract of questions, refusals. Does not cover: the questions of each endpoint (openai/completing.py,
endpoints/trace.py), batching (batcher.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from memo_dist.http.answerer import Answerer


@dataclass(frozen=True)
class Refusal:
    """Why a question cannot be answered, for whoever asked."""

    reason: str


class Ask(ABC):
    """A question to a replica; pickled on its way."""

    @property
    @abstractmethod
    def weight(self) -> int:
        """About how many recalled tokens would cost as much as the answer."""

    @classmethod
    @abstractmethod
    def answered(cls, answerer: "Answerer", asks: Sequence[Self]) -> list[Any]:
        """One answer, or a Refusal, for each ask of this class, in order; they were asked at the same time."""

    def turns(self, most: int) -> Iterator[Self]:
        """Parts of about `most` weight, which take turns with other questions; one, if it cannot be parted."""
        yield self

    def joined(self, answers: list[Any]) -> Any:
        """The answer, from those to its turns."""
        return answers[0]


async def in_turns(ask: Ask, most: int, answer: Any) -> Any:
    """The answer to an ask whose turns are answered by the coroutine function `answer`, up to the first refusal.

    Between turns a question is dropped that nobody waits for.
    """
    answers: list[Any] = []
    for turn in ask.turns(most):
        found = await answer(turn)
        if isinstance(found, Refusal):
            return found
        answers.append(found)
    return ask.joined(answers)
