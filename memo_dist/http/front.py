"""Front: what the handlers of all endpoints share: the replicas, the model's name, the limits, the metrics.

Covers: asking a replica, retries, clients that leave; what an endpoint is. Does not cover: the endpoints (endpoints/),
limits and keys (guards.py).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from memo_dist.about import About
from memo_dist.http.asks import Ask, Refusal
from memo_dist.http.errors import ClientGoneError, RefusedError, ReplicaLostError
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.http.shared import Shared
from memo_dist.ranges.health import RangesHealth

_TRIES = 4
_AGAIN_SECONDS = 0.25  # before asking once more, times the number of tries
_log = logging.getLogger("memo_dist.serve")


class Replicas(Protocol):
    """Whoever answers the front: replicas somewhere, or one Answerer in this process."""

    def ask(self, ask: Ask) -> Awaitable[Any]:
        """The answer to an ask, or a Refusal.

        Raises:
            ReplicaLostError: the replica that was asked is gone.
        """
        ...

    def healthy(self) -> Awaitable[int]:
        """How many replicas are up."""
        ...


class Front:
    """One served memory, as its handlers see it.

    Args:
        name: of the model, as clients may give it.
        about: the memory, as it is shown.
        now: gives that of the memory as it is now, the same object until it has changed; None: it does not change.
        ranges: how the bank servers are that have the memory's ranges; None: there are none.
    """

    def __init__(
        self,
        replicas: Replicas,
        name: str,
        *,
        limits: Limits,
        metrics: Metrics,
        about: About,
        now: Callable[[], About] | None = None,
        ranges: Callable[[], RangesHealth] | None = None,
    ) -> None:
        self.replicas, self.name, self.limits, self.metrics, self.about = replicas, name, limits, metrics, about
        self.created = int(time.time())
        self._now, self._ranges = Shared(now) if now else None, Shared(ranges) if ranges else None
        self._capacity: asyncio.Task[dict[str, Any]] | None = None
        metrics.tell(about.facts)

    async def follow(self) -> About:
        """The memory as it is now: what `about` is from now on."""
        found = self.about if self._now is None else await self._now()
        if found is not self.about:
            self.about, self._capacity = found, None
            self.metrics.tell(found.facts)
        return found

    async def ranges(self) -> RangesHealth | None:
        """How the bank servers are, as they were a second ago at most; None where there are none."""
        return None if self._ranges is None else await self._ranges()

    async def capacity(self) -> dict[str, Any]:
        """What About.capacity gives, found once, when it is first asked for."""
        if self._capacity is None or (self._capacity.done() and self._capacity.exception() is not None):
            self._capacity = asyncio.create_task(asyncio.to_thread(self.about.capacity))
        return await asyncio.shield(self._capacity)

    def require_model(self, model: str | None) -> None:
        """Raise RefusedError if a client names another model; it need name none."""
        if model is not None and model != self.name:
            message = f"there is no model {model[:80]!r}; this service has {self.name!r}"
            raise RefusedError(message, 404, "model_not_found")

    async def ask(self, request: Request, ask: Ask) -> Any:
        """What a replica answers; asked again of another if it was lost, since asking changes nothing.

        Raises:
            RefusedError: the ask cannot be answered. ClientGoneError: the client left. TimeoutError: no answer in time.
            HTTPException: no replica answers.
        """
        gone = asyncio.create_task(_until_gone(request))
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                found = await self._asked(ask, gone)
        finally:
            gone.cancel()
        if isinstance(found, Refusal):
            raise RefusedError(found.reason)
        return found

    async def _asked(self, ask: Ask, gone: "asyncio.Task[None]") -> Any:
        for attempt in range(1, _TRIES + 1):
            answer = asyncio.ensure_future(self.replicas.ask(ask))
            try:
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    return answer.result()
                self.metrics.abandoned.inc()
                raise ClientGoneError
            except ReplicaLostError as error:
                _log.warning("a replica was lost (attempt %d of %d): %s", attempt, _TRIES, error)
                self.metrics.retries.inc()
                await asyncio.sleep(_AGAIN_SECONDS * attempt)
            finally:
                answer.cancel()
        raise HTTPException(503, "no replica answers; come again in a second")


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True)
class Endpoint:
    """A path and its handler.

    Attributes:
        path: as Starlette writes it; metrics name it, unless it has a parameter.
        needs_key: whether a client must show an API key, if the service has keys.
        says: what it answers, in a line, for /openapi.json; "" for what is no part of the interface.
        body: what clients send.
    """

    path: str
    handle: Callable[[Front, Request], Awaitable[Response]]
    method: str = "GET"
    needs_key: bool = True
    says: str = ""
    body: type[BaseModel] | None = None
