"""GET /healthz: whether a replica is up, for load balancers, which have no key.

Covers: one answer. Does not cover: how replicas are watched (whoever serves them).
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.http.front import Endpoint, Front


async def health(front: Front, request: Request) -> Response:
    count = await front.replicas.healthy()
    return JSONResponse({"status": "ok" if count else "no replica is up", "replicas": count}, 200 if count else 503)


ENDPOINT = Endpoint("/healthz", health, needs_key=False, says="Whether a replica is up")
