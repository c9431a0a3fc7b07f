"""Front: HTTP as OpenAI's completions API speaks it, in front of the replicas.

Covers: routes, asking a replica, retries, clients that leave. Does not cover: limits and keys (guards.py), words
(bodies.py, spelling.py), starting and ending (service.py).

An answer is confirmed by what follows it, so it is known only as a whole; a stream begins when it is.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from pydantic import ValidationError
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, WorkerCrashedError
from ray.serve.exceptions import RayServeException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from memo_dist.http.asks import Answer, Ask, Refusal, TraceAsk
from memo_dist.http.bodies import BodyError, CompletionBody, Limits, TraceBody
from memo_dist.http.guards import OPEN, BodyRefusedError, Guards, refusal
from memo_dist.http.metrics import Metrics
from memo_dist.http.spelling import Completion

_TRIES = 4
_AGAIN_SECONDS = 0.25  # before asking once more, times the number of tries
_LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, RayServeException)
_log = logging.getLogger("memo_dist.serve")


class Replicas(Protocol):
    """What the front asks: replicas behind a Ray Serve handle, or one Replica in a test."""

    def complete(self, asks: list[Ask]) -> Awaitable[list[Answer | Refusal]]: ...
    def trace(self, ask: TraceAsk) -> "Awaitable[dict[str, Any] | Refusal]": ...
    def healthy(self) -> Awaitable[int]:
        """How many replicas are up."""
        ...


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Front:
    """Handlers of one served memory.

    Args:
        name: of the model, as clients must give it.
    """

    def __init__(self, replicas: Replicas, name: str, limits: Limits, metrics: Metrics) -> None:
        self._replicas, self._name, self._limits, self._metrics = replicas, name, limits, metrics
        self._created = int(time.time())

    async def completions(self, request: Request) -> Response:
        body = CompletionBody.model_validate_json(await request.body())
        if body.model != self._name:
            return self._unknown(body.model)
        asks = body.asks(self._limits)
        found = await self._answer(request, lambda: self._replicas.complete(asks))
        refused = next((one for one in found if isinstance(one, Refusal)), None)
        if refused is not None:
            return refusal(400, refused.reason)
        answers = [one for one in found if isinstance(one, Answer)]
        completion = Completion(body, answers)
        self._count(completion)
        if body.stream:
            return StreamingResponse(_in_turn(completion), media_type="text/event-stream")
        return JSONResponse(completion.whole())

    async def trace(self, request: Request) -> Response:
        body = TraceBody.model_validate_json(await request.body())
        if body.model not in (None, self._name):
            return self._unknown(str(body.model))
        ask = TraceAsk(body.text, body.least, body.min_confidence)
        found = await self._answer(request, lambda: self._replicas.trace(ask))
        return refusal(400, found.reason) if isinstance(found, Refusal) else JSONResponse(found)

    async def models(self, request: Request) -> Response:
        model = {"id": self._name, "object": "model", "created": self._created, "owned_by": "memo-dist"}
        wanted = request.path_params.get("name")
        if wanted is None:
            return JSONResponse({"object": "list", "data": [model]})
        return JSONResponse(model) if wanted == self._name else self._unknown(wanted)

    async def health(self, request: Request) -> Response:
        count = await self._replicas.healthy()
        return JSONResponse({"status": "ok" if count else "no replica is up", "replicas": count}, 200 if count else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def _unknown(self, model: str) -> JSONResponse:
        return refusal(
            404, f"there is no model {model[:80]!r}; this service has {self._name!r}", code="model_not_found"
        )

    def _count(self, completion: Completion) -> None:
        self._metrics.prompt_tokens.inc(completion.usage["prompt_tokens"])
        self._metrics.tokens.inc(completion.usage["completion_tokens"])
        for one in completion.told:
            self._metrics.stops.labels(one.stop).inc()

    async def _answer(self, request: Request, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What a replica answers; asked again of another if it was lost, since asking changes nothing.

        Raises:
            ClientGoneError: the client left. TimeoutError: no answer in time. HTTPException: no replica answers.
        """
        gone = asyncio.create_task(_until_gone(request))
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                for attempt in range(1, _TRIES + 1):
                    answer = asyncio.ensure_future(ask())
                    try:
                        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                        if answer.done():
                            return answer.result()
                        self._metrics.abandoned.inc()
                        raise ClientGoneError
                    except _LOST as error:
                        _log.warning("a replica was lost (attempt %d of %d): %s", attempt, _TRIES, type(error).__name__)
                        self._metrics.retries.inc()
                        await asyncio.sleep(_AGAIN_SECONDS * attempt)
                    finally:
                        answer.cancel()
        finally:
            gone.cancel()
        raise HTTPException(503, "no replica answers; come again in a second")


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _in_turn(completion: Completion) -> AsyncIterator[str]:
    for event in completion.events():
        yield event


def application(replicas: Replicas, name: str, limits: Limits, metrics: Metrics, keys: list[bytes]) -> Guards:
    """The ASGI application."""
    front = Front(replicas, name, limits, metrics)
    routes = [
        Route("/v1/completions", front.completions, methods=["POST"]),
        Route("/v1/trace", front.trace, methods=["POST"]),
        Route("/v1/models", front.models),
        Route("/v1/models/{name:path}", front.models),
        Route(OPEN, front.health),
        Route("/metrics", front.metrics),
    ]
    handlers: dict[Any, Any] = {
        ValidationError: _bad_body,
        BodyError: _bad_value,
        BodyRefusedError: _bad_transfer,
        TimeoutError: _late,
        ClientGoneError: _gone,
        ClientDisconnect: _gone,  # in the middle of its body
        HTTPException: _http,
        Exception: _fault,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would send the client to whatever its Host header said
    return Guards(app, limits, metrics, keys)


async def _bad_body(request: Request, error: ValidationError) -> Response:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where, message = ".".join(str(part) for part in first["loc"][:1]), first["msg"].removeprefix("Value error, ")
    return refusal(400, f"{where}: {message}" if where else message)


async def _bad_value(request: Request, error: BodyError) -> Response:
    return refusal(400, str(error))


async def _bad_transfer(request: Request, error: BodyRefusedError) -> Response:
    return refusal(error.status, str(error))


async def _late(request: Request, error: TimeoutError) -> Response:
    return refusal(503, "no answer in time; ask for less, or come again", "server_error")


async def _gone(request: Request, error: ClientGoneError | ClientDisconnect) -> Response:
    return Response(status_code=499)  # nobody reads it; metrics do


async def _http(request: Request, error: HTTPException) -> Response:
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return refusal(error.status_code, error.detail, kind)


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refusal(500, "internal error; the service's log says more", "server_error")
