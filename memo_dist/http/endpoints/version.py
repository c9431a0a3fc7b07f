"""GET /version: of the program.

Covers: one answer. Does not cover: versions of files (files/manifest.py).
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist import __version__
from memo_dist.http.front import Endpoint, Front


async def version(front: Front, request: Request) -> Response:
    return JSONResponse({"version": __version__})


ENDPOINT = Endpoint("/version", version, needs_key=False, says="The version of memo-dist")
