"""Application: the endpoints behind the guards, as one ASGI application.

Covers: the list of endpoints, routes. A new endpoint is a file in endpoints/ and a line in ENDPOINTS. Does not cover:
handlers (endpoints/), limits and keys (guards.py), errors (errors.py), whoever
serves it.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from memo_dist.http.endpoints import completions, health, metrics, models, trace
from memo_dist.http.errors import HANDLERS
from memo_dist.http.front import Endpoint, Front
from memo_dist.http.guards import Guards

ENDPOINTS = (
    completions.ENDPOINT,
    trace.ENDPOINT,
    models.ENDPOINT,
    models.ONE_MODEL,
    health.ENDPOINT,
    metrics.ENDPOINT,
)


def application(front: Front, keys: list[bytes]) -> Guards:
    """The ASGI application.

    Args:
        keys: bearer tokens that are let in; none: everyone is.
    """
    app = Starlette(routes=[_route(endpoint, front) for endpoint in ENDPOINTS], exception_handlers=HANDLERS)
    app.router.redirect_slashes = False  # a redirect would send the client to whatever its Host header said
    return Guards(
        app,
        front,
        keys=keys,
        paths=[endpoint.path for endpoint in ENDPOINTS if "{" not in endpoint.path],
        open_paths=[endpoint.path for endpoint in ENDPOINTS if not endpoint.needs_key],
    )


def _route(endpoint: Endpoint, front: Front) -> Route:
    handle: Callable[[Request], Awaitable[Response]] = partial(endpoint.handle, front)
    return Route(endpoint.path, handle, methods=[endpoint.method])
