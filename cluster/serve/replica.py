"""Replica: an Answerer in a Ray Serve replica, which batches what is asked at the same time.

Covers: the deployment. Does not cover: answering (answerer.py), routing and restarts (Ray Serve).
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ray import serve
from threadpoolctl import threadpool_limits

from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Answer, Ask, Refusal, TraceAsk
from memo_dist.http.batcher import Batcher

_TURN = 8192  # tokens answered together; a request of more takes turns with other requests
_READ = 32  # characters of a text that is traced or scored cost about as much as a token that is recalled
_ONGOING = 512  # requests a replica takes before others must wait
_HEALTH_SECONDS = 5.0


class Replica:
    """Answers requests of one or several asks.

    Args:
        path: the memory directory, which the replica's node must see.
        most_tokens: of a prompt.
    """

    def __init__(self, path: str, most_tokens: int) -> None:
        threadpool_limits(1)
        self._answerer = Answerer(Path(path), most_tokens)
        self._batcher: Batcher[list[Ask] | TraceAsk, Any] = Batcher(self._answer, _TURN, weight)
        self._answerer.answer([Ask([0] * 4, 1, 1, 0.99, 1, False, False)])  # kernels are compiled, or read, now

    async def complete(self, asks: list[Ask]) -> list[Answer | Refusal]:
        """One answer an ask, but none after a refusal. Between turns a question is dropped that nobody waits for."""
        answers: list[Answer | Refusal] = []
        for some in turns(asks):
            answers += await self._batcher.ask(some)
            if any(isinstance(one, Refusal) for one in answers):
                break
        return answers

    async def trace(self, ask: TraceAsk) -> "dict[str, Any] | Refusal":
        found: dict[str, Any] | Refusal = await self._batcher.ask(ask)
        return found

    def _answer(self, questions: list[list[Ask] | TraceAsk]) -> list[Any]:
        lists = [one for one in questions if not isinstance(one, TraceAsk)]
        answers = iter(self._answerer.answer([ask for asks in lists for ask in asks]))
        return [
            self._answerer.trace(one) if isinstance(one, TraceAsk) else list(islice(answers, len(one)))
            for one in questions
        ]


def turns(asks: list[Ask]) -> Iterator[list[Ask]]:
    """Asks, in order, in lists of about `_TURN` tokens."""
    some: list[Ask] = []
    for ask in asks:
        if some and weight([*some, ask]) > _TURN:
            yield some
            some = []
        some.append(ask)
    if some:
        yield some


def weight(question: list[Ask] | TraceAsk) -> int:
    """About how many tokens recalled would cost as much."""
    if isinstance(question, TraceAsk):
        return len(question.text) // _READ
    return sum(ask.max_tokens + (len(ask.prompt) // _READ if ask.scored and ask.echoed else 0) for ask in question)


def replicas_of(path: Path, count: int, most_tokens: int) -> serve.Application:
    """The application for serve.run: `count` replicas of a memory."""
    deployment: Any = serve.deployment(
        Replica,
        name="recall",
        num_replicas=count,
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=_ONGOING,
        health_check_period_s=_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
    )
    bound: serve.Application = deployment.bind(str(path.absolute()), most_tokens)
    return bound
