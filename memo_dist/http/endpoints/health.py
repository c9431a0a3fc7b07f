"""GET /healthz: whether a replica is up, and every range has a bank server, for load balancers, which have no key.

Covers: one answer. Does not cover: how replicas are watched (whoever serves them).
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.http.front import Endpoint, Front


async def health(front: Front, request: Request) -> Response:
    count = await front.replicas.healthy()
    told: dict[str, Any] = {"status": "ok" if count else "no replica is up", "replicas": count}
    ranges = await front.ranges()
    if ranges is not None:
        told["ranges"] = ranges.summary()
        if count and ranges.bare:
            told["status"] = f"no bank server has {len(ranges.bare)} of {len(ranges.owners)} ranges"
    return JSONResponse(told, 200 if told["status"] == "ok" else 503)


ENDPOINT = Endpoint("/healthz", health, needs_key=False, says="Whether a replica is up")
