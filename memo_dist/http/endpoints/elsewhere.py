"""Endpoints of OpenAI's that a memory does not have: each says what to use instead.

Covers: refusals. Does not cover: paths that nobody has (errors.py).
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from memo_dist.http.errors import refusal
from memo_dist.http.front import Endpoint, Front

_INSTEAD = {
    "/v1/responses": "a memory holds no conversations: POST /v1/completions with the beginning of a text as "
    '"prompt" (openai: client.completions.create)',
    "/v1/embeddings": 'a memory has no vectors of texts: POST /v1/trace with a "text" says which passages of it are '
    "held, and where",
}


async def refuse(instead: str, front: Front, request: Request) -> Response:
    return refusal(404, f"{request.url.path} is not answered here; {instead}", code="unsupported_endpoint")


ENDPOINTS = tuple(Endpoint(path, partial(refuse, instead), "POST") for path, instead in _INSTEAD.items())
