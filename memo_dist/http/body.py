"""Body: the JSON of a request -> what an endpoint takes, while others are served.

Covers: where a body is read and checked. Does not cover: what it may say (openai/bodies.py, endpoints/), its size and
time (guards.py).
"""

import asyncio
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request

_SMALL = 1 << 14  # bytes that are read in less than a millisecond

Kind = TypeVar("Kind", bound=BaseModel)


async def body_of(request: Request, kind: type[Kind]) -> Kind:
    """The body of a request; a large one is read in a thread, so that the event loop goes on.

    Raises:
        ValidationError: it is not of this kind.
    """
    text = await request.body()
    if len(text) <= _SMALL:
        return kind.model_validate_json(text)
    return await asyncio.to_thread(kind.model_validate_json, text)
