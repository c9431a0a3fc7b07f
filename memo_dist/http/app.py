"""Application: the endpoints behind the guards, as one ASGI application.

Covers: the list of endpoints, routes. A new endpoint is a file in endpoints/ and a line in ENDPOINTS. Does not cover:
handlers (endpoints/), limits and keys (guards.py), errors (errors.py), whoever
serves it.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from memo_dist.http.endpoints import (
    chat,
    completions,
    elsewhere,
    health,
    memory,
    metrics,
    models,
    page,
    tokenizer,
    trace,
    version,
)
from memo_dist.http.endpoints.openapi import openapi
from memo_dist.http.errors import HANDLERS
from memo_dist.http.front import Endpoint, Front
from memo_dist.http.guards import Guards

ENDPOINTS = (
    completions.ENDPOINT,
    chat.ENDPOINT,
    trace.ENDPOINT,
    models.ENDPOINT,
    models.ONE_MODEL,
    memory.ENDPOINT,
    memory.CAPACITY,
    health.ENDPOINT,
    metrics.ENDPOINT,
    version.ENDPOINT,
    *tokenizer.ENDPOINTS,
    *page.ENDPOINTS,
    *elsewhere.ENDPOINTS,
)


def application(
    front: Front, keys: list[bytes], origins: Sequence[str] = (), *, hosts: Collection[str] | None = None
) -> ASGIApp:
    """The ASGI application.

    Args:
        keys: bearer tokens that are let in; none: everyone is.
        origins: of other pages whose scripts may ask, such as "https://notes.example"; "*": of all.
        hosts: names by which the service may be asked, beside its addresses; None: any.
    """
    endpoints = (*ENDPOINTS, openapi(ENDPOINTS))
    app = Starlette(routes=[_route(endpoint, front) for endpoint in endpoints], exception_handlers=HANDLERS)
    app.router.redirect_slashes = False  # a redirect would send the client to whatever its Host header said
    guarded = Guards(
        app,
        front,
        keys=keys,
        paths=[endpoint.path for endpoint in endpoints if "{" not in endpoint.path],
        open_paths=[endpoint.path for endpoint in endpoints if not endpoint.needs_key],
        hosts=hosts,
    )
    if not origins:
        return guarded
    # outside the guards: what they refuse is for the page to read too, and a browser asks first, without a key
    return CORSMiddleware(guarded, allow_origins=list(origins), allow_methods=["GET", "POST"], allow_headers=["*"])


def _route(endpoint: Endpoint, front: Front) -> Route:
    handle: Callable[[Request], Awaitable[Response]] = partial(endpoint.handle, front)
    return Route(endpoint.path, handle, methods=[endpoint.method])
