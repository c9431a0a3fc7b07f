"""GET /v1/memory: what the memory that is served is; GET /v1/memory/capacity: how much it would hold.

Covers: two answers. Does not cover: the facts, the law (memo_dist/about.py).
"""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.http.front import Endpoint, Front


async def memory(front: Front, request: Request) -> Response:
    facts = (await front.follow()).facts
    return JSONResponse({"object": "memory", "model": front.name, **facts, "limits": asdict(front.limits)})


async def capacity(front: Front, request: Request) -> Response:
    await front.follow()
    return JSONResponse({"object": "capacity", **await front.capacity()})


ENDPOINT = Endpoint("/v1/memory", memory, says="What the memory is: size, load, digest, journal, limits")
CAPACITY = Endpoint("/v1/memory/capacity", capacity, says="The capacity law: recall by size and by length of prompt")
