"""GET /: the page for people, and the files that it is made of.

Covers: their answers. Does not cover: the files (memo_dist/page), what the page asks (the other endpoints).
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from memo_dist.http.front import Endpoint, Front
from memo_dist.page.files import FILES, PAGE, POLICY, read

_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def show(name: str, front: Front, request: Request) -> Response:
    return Response(read(name), media_type=FILES[name], headers=_HEADERS)


ENDPOINTS = (
    Endpoint("/", partial(show, PAGE), needs_key=False),
    *(Endpoint(f"/page/{name}", partial(show, name), needs_key=False) for name in FILES if name != PAGE),
)
