"""Replica: an Answerer in a Ray Serve replica, which batches what is asked at the same time.

Covers: the deployment. Does not cover: answering (answerer.py), routing and restarts (Ray Serve).
"""

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

from ray import serve
from threadpoolctl import threadpool_limits

from cluster.serving.answerer import Answerer
from cluster.serving.asks import Answer, Ask, Refusal, TraceAsk
from cluster.serving.batcher import Batcher

_BATCH = 64  # requests answered together
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
        self._batcher: Batcher[list[Ask], list[Answer | Refusal]] = Batcher(self._answer, _BATCH)
        self._answerer.answer([Ask([0] * 4, 1, 1, 0.99, 1, False, False)])  # kernels are compiled, or read, now

    async def complete(self, asks: list[Ask]) -> list[Answer | Refusal]:
        """One answer an ask."""
        return await self._batcher.ask(asks)

    async def trace(self, ask: TraceAsk) -> "dict[str, Any] | Refusal":
        return await asyncio.to_thread(self._answerer.trace, ask)

    def _answer(self, requests: list[list[Ask]]) -> list[list[Answer | Refusal]]:
        answers = iter(self._answerer.answer([ask for asks in requests for ask in asks]))
        return [list(islice(answers, len(asks))) for asks in requests]


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
