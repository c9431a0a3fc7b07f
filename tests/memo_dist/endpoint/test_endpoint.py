"""An endpoint asked: trials, hedges, time limits, turns, keys; what of it is an error."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from scripted_endpoint import Request, Said, scripted_endpoint

from memo_dist.endpoint.endpoint import Endpoint
from memo_dist.endpoint.options import EndpointOptions, Sampling
from memo_dist.errors import EndpointError


def asked(url: str, *messages: str, **options: Any) -> list[str]:
    """The replies to messages that are sent at once."""

    async def run() -> list[str]:
        async with Endpoint(EndpointOptions(url=url, backoff=0.01, **options)) as endpoint:
            return list(await asyncio.gather(*(endpoint.complete(one, Sampling()) for one in messages)))

    return asyncio.run(run())


def echo(message: str) -> str:
    return f"said {message}"


def test_a_message_is_sent_with_the_model_that_is_listed_first_and_its_sampling() -> None:
    with scripted_endpoint(rules=echo) as server:
        assert asked(server.url + "/v1", "hello") == ["said hello"]
        body = server.requests[0].body
    assert body == {
        "model": "rules",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 4096,
        "temperature": 0.0,
        "top_p": 0.95,
    }


def first(count: int, said: Said) -> Callable[[Request], Said | None]:
    """The first requests of a stage get this."""
    return lambda request: said if request.number < count else None


def test_a_busy_endpoint_is_asked_again_and_waits_are_kept() -> None:
    with scripted_endpoint(first(2, Said("busy", status=429, headers={"Retry-After": "0.1"})), echo) as server:
        start = time.monotonic()
        assert asked(server.url, "hello", requests=1) == ["said hello"]
        assert time.monotonic() - start >= 0.2
        assert len(server.requests) == 3


def test_what_is_refused_for_good_is_not_asked_again() -> None:
    with scripted_endpoint(first(9, Said("too long", status=400)), echo) as server:
        with pytest.raises(EndpointError, match=r"status 400: .*too long"):
            asked(server.url, "hello")
        assert len(server.requests) == 1


def test_trials_end() -> None:
    with scripted_endpoint(first(99, Said("down", status=503)), echo) as server:
        with pytest.raises(EndpointError, match="status 503"):
            asked(server.url, "hello", trials=3)
        assert len(server.requests) == 3


def test_a_late_reply_is_hedged_and_the_first_of_both_is_taken() -> None:
    with scripted_endpoint(first(1, Said("late", seconds=5)), echo) as server:
        start = time.monotonic()
        assert asked(server.url, "hello", hedge_after=0.1, requests=2) == ["said hello"]
        assert time.monotonic() - start < 4
        assert len(server.requests) == 2


def test_no_more_requests_than_allowed_run_beside_each_other() -> None:
    with scripted_endpoint(first(99, Said("late", seconds=0.5)), echo) as server:
        assert asked(server.url, "hello", hedge_after=0.05, requests=2) == ["late"]
        assert len(server.requests) == 2


def test_a_request_that_takes_too_long_is_sent_again() -> None:
    with scripted_endpoint(first(1, Said("late", seconds=3)), echo) as server:
        assert asked(server.url, "hello", timeout=0.5) == ["said hello"]
        assert len(server.requests) >= 2


def test_concurrency_and_pace_are_kept() -> None:
    with scripted_endpoint(first(99, Said("ok", seconds=0.05)), echo) as server:
        asked(server.url, *map(str, range(6)), concurrency=2)
        assert server.most_at_once == 2
        start = time.monotonic()
        asked(server.url, *map(str, range(4)), per_minute=600.0)  # and one for the models
        assert time.monotonic() - start >= 0.4


def test_nobody_there_is_an_error_that_names_the_address() -> None:
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1/models: Client"):
        asked("http://127.0.0.1:9", "hello", trials=1)


def test_a_reply_without_a_text_is_an_error() -> None:
    with scripted_endpoint(rules=lambda message: " ") as server, pytest.raises(EndpointError, match="has no text"):
        asked(server.url, "hello")
