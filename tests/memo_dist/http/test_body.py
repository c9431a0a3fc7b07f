"""Bodies of requests, read while others are served.

Covers: where a body is read. Does not cover: what it may say (openai/), limits of the service (test_serving.py).
"""

import asyncio
import threading

import pytest
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from memo_dist.http.body import body_of


class Noted(BaseModel):
    """A body that notes in which thread it is checked."""

    texts: list[str]

    def model_post_init(self, _: object) -> None:
        self.__dict__["thread"] = threading.get_ident()


def request_of(text: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": text, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_a_large_body_is_read_beside_the_event_loop() -> None:
    text = b'{"texts": [' + b",".join([b'"a"'] * 100_000) + b"]}"
    found = asyncio.run(body_of(request_of(text), Noted))
    assert len(found.texts) == 100_000
    assert found.__dict__["thread"] != threading.get_ident()


def test_a_small_body_is_read_at_once() -> None:
    assert asyncio.run(body_of(request_of(b'{"texts": ["a"]}'), Noted)).__dict__["thread"] == threading.get_ident()


@pytest.mark.parametrize("count", [1, 100_000])
def test_what_is_no_such_body_is_refused(count: int) -> None:
    text = b'{"texts": [' + b",".join([b"1"] * count) + b"]}"
    with pytest.raises(ValidationError, match="texts"):
        asyncio.run(body_of(request_of(text), Noted))
